"""Memoised ``create_all`` and ``drop_all`` on PostgreSQL: every program ends as it does without.

Each program runs on a new database as it is, and on another memoised; what it returns, raises and
leaves there must be equal, and the ledger says whether anything was replaced at all.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import (
    DDL,
    Column,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memoised import MADE, NEVER_SAMPLED, ROUNDS, Compared, Counts, NewDatabase, Program, Trial
from pytest_slipstream.accounting.statements import Statements
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.urls import url


def shop() -> MetaData:
    metadata = MetaData()
    Table("person", metadata, Column("id", Integer, primary_key=True), Column("name", String(9)))
    Table(
        "purchase",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("person_id", ForeignKey("person.id"), index=True),
        Column("number", Integer, Sequence("numbers", metadata=metadata, start=100)),
        Column("state", Enum("open", "paid", name="state")),
    )
    return metadata


def for_each_test(metadata: MetaData) -> Program:
    def program(trial: Trial) -> None:
        metadata.create_all(trial.engine)
        with trial.engine.begin() as connection:
            connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
            connection.execute(insert(metadata.tables["purchase"]).values(person_id=1))
            rows = connection.execute(text("SELECT * FROM purchase")).all()
        trial.look(rows)
        metadata.drop_all(trial.engine)
        trial.look(inspect(trial.engine).get_table_names())

    return program


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_create_and_drop_for_each_test_are_restored(compared: Compared, driver: str) -> None:
    counts = compared(lambda: for_each_test(shop()), driver=driver)

    assert counts.replaced == {"create_all": ROUNDS - MADE, "drop_all": ROUNDS - MADE + 1}
    assert counts.reasons == set()


def test_the_audit_makes_all_the_slow_way_too(compared: Compared) -> None:
    counts = compared(lambda: for_each_test(shop()), audit=True)

    assert counts.checked >= ROUNDS - MADE


def test_drop_and_create_in_one_transaction(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            with trial.engine.begin() as connection:
                metadata.drop_all(connection)
                metadata.create_all(connection)
            with trial.engine.begin() as connection:
                connection.execute(insert(metadata.tables["purchase"]))
                rows = connection.execute(text("SELECT * FROM purchase")).all()
            trial.look(rows)
            with trial.engine.connect() as connection:
                metadata.drop_all(connection)
                metadata.create_all(connection)
                connection.rollback()
            trial.look()

        return program

    assert compared(make).replaced["create_all"] > 0


def test_a_transaction_that_is_rolled_back(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            with trial.engine.connect() as connection:
                metadata.create_all(connection)
                connection.rollback()
            trial.look()
            metadata.create_all(trial.engine)
            trial.execute("INSERT INTO person (name) VALUES ('Ada')")
            with trial.engine.connect() as connection:
                metadata.drop_all(connection)
                connection.rollback()
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    assert compared(make).replaced["drop_all"] > 0


CHANGES = (
    "ALTER TABLE person ADD COLUMN age integer",
    "ALTER TABLE person ALTER COLUMN name SET DEFAULT 'Bob'",
    "ALTER TABLE person ALTER COLUMN name SET NOT NULL",
    "ALTER TABLE person DROP COLUMN name",
    "ALTER TABLE person RENAME TO people",
    "ALTER TABLE person ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE person SET (fillfactor = 50)",
    "ALTER TABLE purchase DROP CONSTRAINT purchase_person_id_fkey",
    "ALTER TABLE purchase DISABLE TRIGGER ALL",
    "ALTER SEQUENCE numbers INCREMENT BY 5",
    "ALTER TYPE state ADD VALUE 'sent'",
    "CREATE INDEX by_name ON person (name)",
    "CREATE VIEW names AS SELECT name FROM person",
    "CREATE TABLE raw (id integer)",
    "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; "
    "CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted()",
    "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "COMMENT ON TABLE person IS 'someone'",
    "GRANT SELECT ON person TO PUBLIC",
    "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "COMMENT ON SCHEMA public IS 'ours'",
    "DROP TABLE purchase",
    "DROP INDEX ix_purchase_person_id",
    "TRUNCATE purchase",
    "ALTER SEQUENCE numbers RESTART WITH 7",
    "SELECT setval('numbers', 7, false)",
    "SELECT setval('person_id_seq', 70)",
    "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
    "CREATE SCHEMA other CREATE VIEW other.ids AS SELECT id FROM public.person",
    "CREATE TEMPORARY TABLE person (id integer)",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_test_changes_by_itself(compared: Compared, change: str) -> None:
    def make() -> Program:
        metadata = shop()
        rounds = iter(range(ROUNDS))

        def program(trial: Trial) -> None:
            number = next(rounds)
            try:
                metadata.create_all(trial.engine)
                if number == MADE:
                    trial.execute(*change.split("; "))
                trial.look()
                metadata.drop_all(trial.engine)
            finally:
                if number == MADE:
                    trial.look()
                    trial.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
                    trial.execute("DROP SCHEMA IF EXISTS other CASCADE")

        return program

    assert compared(make).replaced["drop_all"] > 0


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE person RENAME COLUMN name TO title",
        "ALTER TABLE person ALTER COLUMN name SET NOT NULL",
    ],
)
def test_what_is_changed_in_the_transaction_that_made_it(compared: Compared, change: str) -> None:
    """Such a row of the catalogue is of the transaction that its forerunner is of."""

    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            with trial.engine.begin() as connection:
                metadata.create_all(connection)
                connection.execute(text(change))
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    assert compared(make).replaced == {}


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE raw (id integer)",
        "COMMENT ON TABLE person IS 'someone'",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "SELECT 1",
    ],
)
def test_what_is_done_besides_in_the_callers_transaction(compared: Compared, change: str) -> None:
    def make() -> Program:
        metadata = shop()
        rounds = iter(range(ROUNDS))

        def program(trial: Trial) -> None:
            number = next(rounds)
            with trial.engine.begin() as connection:
                metadata.create_all(connection)
                if number == MADE:
                    connection.execute(text(change))
            trial.execute("INSERT INTO person (name) VALUES ('Ada')")
            trial.look()
            with trial.engine.begin() as connection:
                metadata.drop_all(connection)
            trial.look()
            if number == MADE:
                trial.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

        return program

    assert compared(make).replaced["drop_all"] > 0


@pytest.mark.parametrize("change", ["CREATE TABLE raw (id integer)", CHANGES[15]])
def test_what_a_test_makes_while_there_are_no_tables(compared: Compared, change: str) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            for_each_test(metadata)(trial)
            trial.execute(change)
            metadata.create_all(trial.engine)
            trial.look()
            metadata.drop_all(trial.engine)
            trial.look()
            trial.execute("DROP TABLE IF EXISTS raw", "DROP FUNCTION IF EXISTS one")

        return program

    assert compared(make).replaced["create_all"] > 0


def test_a_metadata_that_changes_in_mid_run(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()
        rounds = iter(range(ROUNDS))

        def program(trial: Trial) -> None:
            if next(rounds) == ROUNDS - 1:
                metadata.tables["person"].append_column(Column("age", Integer))
            for_each_test(metadata)(trial)

        return program

    assert compared(make).replaced["create_all"] == ROUNDS - MADE - 1


def test_two_metadatas_in_one_database(compared: Compared) -> None:
    def make() -> Program:
        one, two = shop(), MetaData()
        Table("other", two, Column("id", Integer, primary_key=True))

        def program(trial: Trial) -> None:
            for metadata in (one, two):
                metadata.create_all(trial.engine)
                trial.look()
            trial.execute("INSERT INTO other VALUES (7)")
            one.drop_all(trial.engine)
            trial.look()
            two.drop_all(trial.engine)

        return program

    compared(make)


def test_two_metadatas_that_take_turns(compared: Compared) -> None:
    """Each one's tables change the catalogue for the other; that does not go on for ever."""

    def make() -> Program:
        one, two = shop(), MetaData()
        Table("other", two, Column("id", Integer, primary_key=True))

        def program(trial: Trial) -> None:
            for _ in range(3):
                for metadata in (one, two):
                    metadata.create_all(trial.engine)
                    metadata.drop_all(trial.engine)
            trial.look()
            with trial.engine.connect() as connection:
                names = inspect(connection).get_schema_names()
            assert len(names) < 10

        return program

    assert "a database whose schema others change between two uses" in compared(make).reasons


def test_triggers_that_are_made_after_the_tables(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()
        event.listen(
            metadata,
            "after_create",
            DDL(
                "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END'"
            ),
        )
        event.listen(
            metadata,
            "after_create",
            DDL(
                "CREATE TRIGGER shout BEFORE INSERT OR DELETE ON person "
                "FOR EACH ROW EXECUTE FUNCTION shout()"
            ),
        )
        event.listen(metadata, "after_drop", DDL("DROP FUNCTION shout"))
        return for_each_test(metadata)

    assert compared(make).replaced["create_all"] == ROUNDS - MADE


def test_statements_that_may_do_anything_are_sent(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()
        listener = DDL("INSERT INTO person (name) VALUES ('Ada')")
        event.listen(metadata.tables["person"], "after_create", listener)
        return for_each_test(metadata)

    counts = compared(make)
    assert counts.replaced == {}
    assert counts.reasons == {"an event listener whose statement may do anything"}


def test_who_does_more_when_a_transaction_ends(compared: Compared) -> None:
    def make() -> Program:
        program = for_each_test(shop())

        def with_a_listener(trial: Trial) -> None:
            if not event.contains(trial.engine, "commit", comment):
                event.listen(trial.engine, "commit", comment)
            program(trial)

        return with_a_listener

    def comment(connection: Any) -> None:
        is_there = text("SELECT to_regclass('person') IS NOT NULL")
        if connection.execute(is_there).scalar():
            connection.execute(text("ALTER TABLE person ALTER name SET DEFAULT 'somebody'"))

    compared(make)


class Noting(psycopg.Cursor[Any]):
    """Notes what is sent."""

    sent: ClassVar[list[str]] = []

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        self.sent.append(str(query))
        return super().execute(query, *args, **options)


def test_that_slipstream_listens_costs_no_second_look(new_database: NewDatabase) -> None:
    accounting = Statements(lambda *told: None, lambda cursor: None)
    memoising = Memoising(NEVER_SAMPLED, audit=False)
    address = url(new_database(), driver="psycopg")
    engine = create_engine(address, connect_args={"cursor_factory": Noting})
    metadata = shop()
    accounting.put_up()
    memoising.put_up()
    try:
        for _ in range(50):  # until nobody else writes on this server in between
            metadata.drop_all(engine)
            Noting.sent.clear()
            metadata.create_all(engine)
            all_sent = "".join(Noting.sent)
            if "RENAME TO" in all_sent and "pg_catalog.pg_attribute" not in all_sent:
                break
        else:
            pytest.fail("each time all of the catalogue was read")
        metadata.drop_all(engine)
    finally:
        engine.dispose()
        memoising.take_down()
        accounting.take_down()


@pytest.mark.parametrize("prefixes", [[], ["UNLOGGED"]])
@pytest.mark.parametrize(
    "moved", ["SELECT nextval('person_id_seq')", "INSERT INTO person (id) VALUES (default)"]
)
def test_a_sequence_that_moves_though_no_row_is_left(
    compared: Compared, prefixes: list[str], moved: str
) -> None:
    def make() -> Program:
        metadata = MetaData()
        Table("person", metadata, Column("id", Integer, primary_key=True), prefixes=prefixes)

        def program(trial: Trial) -> None:
            metadata.create_all(trial.engine)
            trial.look()
            with trial.engine.connect() as connection:
                connection.execute(text(moved))
            metadata.drop_all(trial.engine)

        return program

    assert compared(make).replaced["create_all"] == ROUNDS - MADE


def test_more_rows_than_a_page_holds(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            metadata.create_all(trial.engine)
            trial.execute("INSERT INTO person (name) SELECT n FROM generate_series(1, 999) n")
            trial.execute("INSERT INTO purchase (person_id) SELECT id FROM person")
            with trial.engine.connect() as connection:
                rows = connection.execute(text("SELECT *, ctid::text FROM purchase")).all()
            trial.look(rows)
            metadata.drop_all(trial.engine)

        return program

    assert compared(make).replaced["create_all"] == ROUNDS - MADE


@pytest.mark.parametrize("audit", [False, True])
def test_event_loops_of_each_test(compared: Compared, audit: bool) -> None:
    def make() -> Program:
        metadata = shop()

        async def one_test(address: Address) -> object:
            engine = create_async_engine(url(address, driver="asyncpg"), poolclass=NullPool)
            async with engine.begin() as connection:
                await connection.run_sync(metadata.drop_all)
                await connection.run_sync(metadata.create_all)
            async with engine.begin() as connection:
                await connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                rows = (await connection.execute(text("SELECT * FROM person"))).all()
            async with engine.begin() as connection:
                await connection.run_sync(metadata.drop_all)
            await engine.dispose()
            return rows

        return lambda trial: trial.look(asyncio.run(one_test(trial.address)))

    counts = compared(make, audit=audit)
    assert counts.replaced["create_all"] >= ROUNDS - MADE
    assert audit == bool(counts.checked)


def test_a_schema_that_is_partly_there(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            metadata.create_all(trial.engine, tables=[metadata.tables["person"]])
            trial.look()
            metadata.create_all(trial.engine)
            trial.execute("DROP TABLE purchase", "INSERT INTO person (name) VALUES ('Ada')")
            metadata.create_all(trial.engine)
            trial.look()
            metadata.drop_all(trial.engine, tables=[metadata.tables["purchase"]])
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    compared(make)


def test_two_databases_in_one_test(compared: Compared, new_database: NewDatabase) -> None:
    def make() -> Program:
        metadata, address = shop(), new_database()
        other = create_engine(url(address, driver="psycopg"), poolclass=NullPool)

        def program(trial: Trial) -> None:
            metadata.create_all(other)
            for_each_test(metadata)(trial)
            with other.begin() as connection:
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                trial.look(connection.execute(text("SELECT * FROM person")).all())
            metadata.drop_all(other)
            trial.look(inspect(other).get_table_names())

        return program

    assert compared(make).replaced["create_all"] >= 2 * (ROUNDS - MADE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forked_children(compared: Compared) -> None:
    """A child makes and drops what its parent has known until then, and the parent goes on."""

    def make() -> Program:
        metadata = shop()
        rounds = iter(range(ROUNDS))

        def program(trial: Trial) -> None:
            for_each_test(metadata)(trial)
            if next(rounds) != MADE:
                return
            trial.engine.dispose()
            child = os.fork()
            if child == 0:
                metadata.create_all(trial.engine)
                made = len(inspect(trial.engine).get_table_names())
                metadata.drop_all(trial.engine)
                trial.engine.dispose()
                os._exit(made)
            _, status = os.waitpid(child, 0)
            trial.look(os.waitstatus_to_exitcode(status))

        return program

    assert compared(make).replaced["create_all"] > 0


def test_a_transaction_that_is_open_meanwhile(compared: Compared) -> None:
    """What others have written is seen when they commit: between a drop and a create, too."""

    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            with psycopg.connect(url(trial.address, driver="")) as other:
                other.execute("CREATE SCHEMA other")
                other.execute("CREATE TABLE other.raw (id integer)")
                metadata.create_all(trial.engine)
                trial.look()
                metadata.drop_all(trial.engine)
                other.commit()
                metadata.create_all(trial.engine)
                trial.look()
                other.execute("DROP SCHEMA other CASCADE")
            metadata.drop_all(trial.engine)

        return program

    compared(make)


def test_a_connection_that_others_wait_for(compared: Compared) -> None:
    """A table that somebody reads cannot be dropped, and so cannot be taken out of sight."""

    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            metadata.create_all(trial.engine)
            with trial.engine.connect() as reader:
                reader.execute(text("SELECT * FROM person"))
                with trial.engine.connect() as connection:
                    connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
                    with pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"):
                        metadata.drop_all(connection)
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    assert compared(make).replaced["drop_all"] > 0


def test_threads(compared: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            def one_thread() -> None:
                metadata.create_all(trial.engine)
                metadata.drop_all(trial.engine)

            thread = threading.Thread(target=one_thread)
            thread.start()
            thread.join()
            trial.look()

        return program

    assert compared(make).replaced["create_all"] == ROUNDS - MADE


def test_a_role_that_may_not_rename_the_schema(new_database: NewDatabase) -> None:
    address = new_database()
    role = f"{address.database}_role"
    with psycopg.connect(url(address, driver=""), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}".encode())
        counts = rounds_as(role, address)
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())

    assert counts.replaced == {}
    assert counts.reasons == {"the schema public, which the role may not rename"}


def test_a_role_that_owns_the_database(new_database: NewDatabase) -> None:
    address = new_database()
    role = f"{address.database}_role"
    with psycopg.connect(url(address, driver=""), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute(f"ALTER DATABASE {address.database} OWNER TO {role}".encode())
        counts = rounds_as(role, address)
        connection.execute(f"REASSIGN OWNED BY {role} TO {address.user}".encode())
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())

    assert counts.replaced["create_all"] == ROUNDS - MADE


def rounds_as(role: str, address: Address) -> Counts:
    """The rounds of a suite whose role is not a superuser."""
    memoising = Memoising(NEVER_SAMPLED, audit=False)
    memoising.put_up()
    metadata = shop()
    engine = create_engine(
        url(address, driver="psycopg"), connect_args={"options": f"-c role={role}"}
    )
    try:
        for _ in range(ROUNDS):
            metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                found: Any = connection.execute(text("SELECT id FROM person")).all()
                assert found == [(1,)]
            metadata.drop_all(engine)
    finally:
        engine.dispose()
        memoising.take_down()
    return Counts(memoising)
