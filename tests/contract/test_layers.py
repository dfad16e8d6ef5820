"""Layers: what wider fixtures wrote stays until it is popped, in whatever order they end."""

from __future__ import annotations

from collections.abc import Callable

from tests.contract.conftest import Client, Product

from pytest_slipstream.databases.engines.protocol import Cleaning, Slot

MakeClean = Callable[[], Cleaning]

ADD_ROLE = "INSERT INTO roles (name) VALUES ('{}')"


def role(name: str) -> str:
    return ADD_ROLE.format(name)


def roles(client: Client) -> list[str]:
    return [name for (name,) in client.rows("SELECT name FROM roles WHERE id > 3 ORDER BY id")]


def test_a_layer_is_kept_by_cleaning_and_undone_by_popping(
    product: Product, slot: Slot, client: Client
) -> None:
    template = slot.digest()
    client.commit(role("module"))
    assert f"{product.schema_prefix}.roles" in slot.push_layer()
    layered = slot.digest()
    client.commit(role("test"), "DELETE FROM users")
    assert roles(client) == ["module", "test"]
    assert slot.clean().cannot is None
    assert slot.digest() == layered
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_nothing_written_is_no_layer(slot: Slot, client: Client) -> None:
    client.rows("SELECT * FROM users")
    assert slot.push_layer() == ()
    client.commit(role("module"))
    assert slot.push_layer() != ()
    assert slot.push_layer() == ()


def test_layers_nest(slot: Slot, client: Client) -> None:
    digests = [slot.digest()]
    for name in ("session", "module", "class"):
        client.commit(role(name), "UPDATE users SET score = score + 1")
        assert slot.push_layer() != ()
        digests.append(slot.digest())
    for _ in range(3):
        client.commit("DELETE FROM users")
        assert slot.clean().cannot is None
        assert slot.digest() == digests.pop()
        assert slot.pop_layer().cannot is None
    assert slot.digest() == digests.pop()


def test_replace_keeps_the_layers(slot: Slot, client: Client) -> None:
    template = slot.digest()
    client.commit(role("session"), "DELETE FROM users WHERE name = 'ann'")
    slot.push_layer()
    client.commit(role("module"), "UPDATE users SET score = 99")
    slot.push_layer()
    layered = slot.digest()
    client.commit("DROP TABLE pairs")
    slot.replace()
    assert slot.digest() == layered
    client.commit("DELETE FROM users")
    assert slot.clean().cannot is None
    assert slot.digest() == layered
    assert slot.pop_layer().cannot is None
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_the_next_identity_of_a_layer_is_the_same_for_every_test(
    slot: Slot, client: Client
) -> None:
    client.commit(role("module"))
    slot.push_layer()
    for _ in range(3):
        client.commit(role("test"))
        assert client.rows("SELECT max(id) FROM roles") == [(5,)]
        assert slot.clean().cannot is None


def test_a_layer_is_popped_with_what_a_test_had_written(slot: Slot, client: Client) -> None:
    template = slot.digest()
    client.commit(role("module"))
    slot.push_layer()
    client.commit(role("test"), "DELETE FROM users")
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_numbers_that_tests_took_are_given_back_when_layers_go(slot: Slot, client: Client) -> None:
    digests = [slot.digest()]
    for name in ("module", "class"):
        client.commit(role(name))
        slot.push_layer()
        digests.append(slot.digest())
    while True:
        client.roll_back(role("rolled back"))
        assert slot.clean().cannot is None
        assert slot.digest() == digests.pop()
        if not digests:
            return
        client.roll_back(role("rolled back"))
        assert slot.pop_layer().cannot is None
        assert slot.digest() == digests[-1]


def test_a_layer_of_definitions(slot: Slot, client: Client, make_clean: MakeClean) -> None:
    template = slot.digest()
    client.commit("CREATE TABLE extra (a integer)", "INSERT INTO extra VALUES (1)")
    assert slot.push_layer() != ()
    layered = slot.digest()
    client.commit("INSERT INTO extra VALUES (2)", "DELETE FROM users")
    make_clean()
    assert slot.digest() == layered
    if slot.pop_layer().cannot is not None:
        slot.replace()
    assert slot.digest() == template


def test_a_lower_layer_of_other_tables_goes_first(slot: Slot, client: Client) -> None:
    template = slot.digest()
    client.commit("DELETE FROM users WHERE name = 'ann'", "UPDATE pairs SET note = 'lower'")
    slot.push_layer()
    client.commit(role("upper"))
    slot.push_layer()
    assert slot.pop_layer(1).cannot is None
    assert roles(client) == ["upper"]
    assert client.rows("SELECT name FROM users ORDER BY id") == [("root",), ("ann",)]
    upper = slot.digest()
    client.commit("DELETE FROM users")
    assert slot.clean().cannot is None
    assert slot.digest() == upper
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_a_lower_layer_of_the_same_table_leaves_the_upper_rows(slot: Slot, client: Client) -> None:
    template = slot.digest()
    client.commit(role("lower"), "UPDATE users SET score = 50 WHERE name = 'root'")
    slot.push_layer()
    client.commit(role("upper"), "UPDATE users SET score = 60 WHERE name = 'ann'")
    slot.push_layer()
    assert slot.pop_layer(1).cannot is None
    assert roles(client) == ["upper"]
    assert client.rows("SELECT name, score FROM users ORDER BY id") == [("root", 7), ("ann", 60)]
    client.commit(role("test"), "DELETE FROM pairs")
    assert slot.clean().cannot is None
    assert roles(client) == ["upper"]
    assert client.count("pairs") == 2
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_rows_that_both_layers_changed_stay_as_the_upper_has_them(
    slot: Slot, client: Client
) -> None:
    template = slot.digest()
    client.commit(
        role("lower"),
        role("lower, not changed"),
        "UPDATE roles SET name = 'lower admin' WHERE id = 1",
        "UPDATE roles SET name = 'lower user' WHERE id = 2",
        "UPDATE users SET score = 50",
        "DELETE FROM pairs",
    )
    slot.push_layer()
    client.commit(
        "UPDATE roles SET name = 'upper' WHERE name = 'lower'",
        "UPDATE roles SET name = 'upper admin' WHERE id = 1",
        "INSERT INTO pairs VALUES (1, 1, 'upper')",
    )
    slot.push_layer()
    assert slot.pop_layer(1).cannot is None
    assert client.rows("SELECT name FROM roles ORDER BY id") == [
        ("upper admin",),
        ('user; "quoted"',),
        ("guest",),
        ("upper",),
    ]
    assert client.rows("SELECT name, score FROM users ORDER BY id") == [("root", 7), ("ann", 0)]
    assert client.rows("SELECT a, b, note FROM pairs ORDER BY b") == [(1, 1, "upper"), (1, 2, "")]
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_rows_that_the_upper_layer_deleted_stay_deleted(slot: Slot, client: Client) -> None:
    template = slot.digest()
    client.commit("UPDATE users SET score = 50", "DELETE FROM pairs WHERE b = 1")
    slot.push_layer()
    client.commit("DELETE FROM users WHERE name = 'ann'", "DELETE FROM pairs")
    slot.push_layer()
    assert slot.pop_layer(1).cannot is None
    assert client.rows("SELECT name, score FROM users") == [("root", 7)]
    assert client.rows("SELECT b FROM pairs") == [(1,)]
    assert slot.pop_layer().cannot is None
    assert slot.digest() == template


def test_the_lowest_of_three_layers_goes_first(slot: Slot, client: Client) -> None:
    template = slot.digest()
    for name in ("lowest", "middle", "upper"):
        client.commit(role(name))
        slot.push_layer()
    assert slot.pop_layer(2).cannot is None
    assert roles(client) == ["middle", "upper"]
    assert slot.pop_layer(0).cannot is None
    assert roles(client) == ["middle"]
    assert slot.pop_layer(0).cannot is None
    assert slot.digest() == template
