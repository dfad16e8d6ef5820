"""Slots: clean after whatever a test did, and equal to their template by a digest that sees all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.contract.conftest import Client, Product, execute, new_template_name

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Owner, Slot

MakeClean = Callable[[], Cleaning]
QUOTED = '"odd ""Name"'

DML = {
    "insert": ["INSERT INTO users (role_id, name) VALUES (1, 'new')"],
    "update": ["UPDATE users SET score = score + 1"],
    "update of a key": ["UPDATE pairs SET a = 9"],
    "delete": ["DELETE FROM users WHERE name = 'ann'"],
    "delete all": ["DELETE FROM users", "DELETE FROM roles"],
    "a table without a key": [f"DELETE FROM {QUOTED} WHERE payload IS NULL"],
    "null for empty": ["UPDATE pairs SET note = NULL"],
    "a copy of a row": [f"INSERT INTO {QUOTED} SELECT * FROM {QUOTED}"],
    "one of two equal rows": [f"UPDATE {QUOTED} SET \"a column\" = 'X' WHERE payload IS NULL"],
    "explicit id": ["INSERT INTO roles (id, name) VALUES (1000, 'far')"],
}
DDL = {
    "create table": ["CREATE TABLE brand_new (a integer)", "INSERT INTO brand_new VALUES (1)"],
    "drop table": ["DROP TABLE pairs"],
    "add column": ["ALTER TABLE users ADD COLUMN extra integer"],
    "rename column": ["ALTER TABLE pairs RENAME COLUMN note TO remark"],
    "create index": ["CREATE UNIQUE INDEX one ON users (name)"],
    "drop index": ["DROP INDEX users_by_name"],
    "drop view": ["DROP VIEW admins"],
    "create view": ["CREATE VIEW two AS SELECT 2 AS two"],
    "table made again": ["DROP TABLE pairs", "CREATE TABLE pairs (a integer)"],
}


def by_name(changes: dict[str, list[str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("statements", changes.values(), ids=changes.keys())


def test_the_address_is_known_before_anything_is_started(
    product: Product, shared_cache_dir: object, engine: Engine, slot: Slot
) -> None:
    assert engine.address(slot.name) == slot.address
    assert slot.address.engine == product.settings.engine
    assert slot.address.database == slot.name


def test_a_slot_holds_what_its_template_holds(client: Client) -> None:
    assert client.rows("SELECT id, name, shout FROM users ORDER BY id") == [
        (1, "root", "ROOT"),
        (2, "ann", "ANN"),
    ]


def test_nothing_touched_is_nothing_to_do(slot: Slot, client: Client) -> None:
    client.rows("SELECT * FROM users")
    assert slot.touched() == ()
    assert slot.clean() == Cleaning()


@by_name(DML)
def test_committed_rows_are_put_back_exactly(
    slot: Slot, client: Client, statements: list[str]
) -> None:
    before = slot.digest()
    client.commit(*statements)
    assert slot.digest() != before
    assert slot.touched() != ()
    assert slot.clean().cannot is None
    assert slot.digest() == before
    assert slot.touched() == ()


@by_name(DDL)
def test_definitions_are_put_back_exactly(
    slot: Slot, client: Client, make_clean: MakeClean, statements: list[str]
) -> None:
    before = slot.digest()
    client.commit(*statements)
    assert slot.digest() != before
    cleaning = make_clean()
    assert cleaning.ddl or cleaning.cannot
    assert slot.digest() == before


@by_name(DML | DDL)
def test_replace_makes_the_slot_anew(slot: Slot, client: Client, statements: list[str]) -> None:
    before = slot.digest()
    client.commit(*statements)
    slot.prepare()
    slot.replace()
    assert slot.digest() == before
    assert slot.clean() == Cleaning()


def test_what_was_rolled_back_is_gone_with_its_sequence(slot: Slot, client: Client) -> None:
    before = slot.digest()
    connection = client.connect()
    execute(connection, "INSERT INTO users (role_id, name) VALUES (1, 'never')")
    connection.rollback()
    connection.close()
    assert slot.clean().cannot is None
    assert slot.digest() == before


def test_identities_start_where_the_template_ended(slot: Slot, client: Client) -> None:
    connection = client.connect()
    for _ in range(3):
        execute(connection, "INSERT INTO roles (name) VALUES ('next')")  # MySQL has no RETURNING
        (found,) = execute(connection, "SELECT max(id) FROM roles").fetchone()
        connection.commit()
        assert found == 4
        assert slot.clean().cannot is None
    connection.close()


def test_an_open_connection_sees_the_clean_slot(slot: Slot, client: Client) -> None:
    connection = client.connect()
    for _ in range(3):
        execute(connection, "DELETE FROM users")
        connection.commit()
        assert slot.clean().cannot is None
        (number,) = execute(connection, "SELECT count(*) FROM users").fetchone()
        connection.rollback()
        assert number == 2
    connection.close()


def test_many_connections_write_to_one_slot(slot: Slot, client: Client) -> None:
    before = slot.digest()
    connections = [client.connect() for _ in range(4)]
    for number, connection in enumerate(connections):
        execute(connection, f"INSERT INTO roles (name) VALUES ('role {number}')")
        connection.commit()
    assert client.count("roles") == 7
    cleaning = slot.clean()
    assert (cleaning.cannot, cleaning.leftovers) == (None, ())
    assert slot.digest() == before


def test_touched_names_tables_with_their_schema(
    slot: Slot, client: Client, product: Product
) -> None:
    client.commit("UPDATE pairs SET note = 'x'", "UPDATE users SET score = 3")
    assert set(slot.touched()) == {
        f"{product.schema_prefix}.pairs",
        f"{product.schema_prefix}.users",
    }


def test_two_slots_do_not_see_each_other(
    engine: Engine, template: str, slot: Slot, client: Client, slot_names: Iterator[str]
) -> None:
    name = next(slot_names)
    other = engine.create_slot(name, template)
    before = other.digest()
    client.commit("DELETE FROM users")
    assert other.digest() == before
    assert slot.digest() != before
    other.close()


def test_a_kept_database_stays_as_the_test_left_it(
    engine: Engine, slot: Slot, client: Client
) -> None:
    before = slot.digest()
    client.commit("UPDATE users SET name = 'failed here'")
    kept = slot.keep(naming.kept_name("main", slot.name, 1))
    assert slot.digest() == before
    assert kept.database.startswith("slipstream_k_main_")
    connection = engine.connect(kept)
    found = execute(connection, "SELECT DISTINCT name FROM users").fetchall()
    assert list(found) == [("failed here",)]
    connection.close()


def test_a_closed_slot_is_gone(engine: Engine, template: str, slot_names: Iterator[str]) -> None:
    name = next(slot_names)
    first = engine.create_slot(name, template)
    Client(engine, first).commit("DELETE FROM users")
    first.close()
    second = engine.create_slot(name, template)
    assert Client(engine, second).count("users") == 2
    second.close()


def test_the_longest_names_are_not_cut(engine: Engine, template: str, owner: Owner) -> None:
    longest = naming.slot_name(owner.testrun_uid, owner.worker, "d" * 20, 10**6)
    assert len(longest.encode()) <= engine.max_name_length
    near = longest[:-1] + "1"
    slots = [engine.create_slot(name, template) for name in (longest, near)]
    Client(engine, slots[0]).commit("DELETE FROM pairs")
    assert [Client(engine, slot).count("pairs") for slot in slots] == [0, 2]
    for slot in slots:
        slot.close()


def test_an_empty_template_makes_an_empty_slot(engine: Engine, slot_names: Iterator[str]) -> None:
    template = new_template_name()
    with engine.build_lock(template):
        engine.begin_build(template)
        engine.publish(template, "main", template)
    name = next(slot_names)
    slot = engine.create_slot(name, template)
    before = slot.digest()
    Client(engine, slot).commit("CREATE TABLE one (a integer)")
    if slot.clean().cannot is not None:
        slot.replace()
    assert slot.digest() == before
    slot.close()


def test_cleaning_does_not_grow_dearer(slot: Slot, client: Client) -> None:
    before = slot.digest()
    connection = client.connect()
    for number in range(300):
        execute(connection, f"INSERT INTO roles (name) VALUES ('role {number}')")
        execute(connection, "UPDATE users SET score = score + 1")
        connection.commit()
        assert slot.clean().cannot is None
    connection.close()
    assert slot.digest() == before
