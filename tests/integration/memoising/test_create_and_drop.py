"""Memoised ``create_all`` and ``drop_all`` on SQLite: every program ends as it does without.

Each program runs several times on new databases, as it is and memoised; what it returns, raises and
leaves in the database must be equal, and the ledger says whether anything was replaced at all.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alembic.ddl  # noqa: F401  # has constructs of SQLAlchemy compiled by its own functions
import pytest
import sqlalchemy
from sqlalchemy import (
    DDL,
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Engine,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    create_engine,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import StaticPool

from memoised import NEVER_SAMPLED, Counts, held_to_plain
from pytest_slipstream.databases.engines.sqlite import content
from pytest_slipstream.databases.memoising.memoising import Memoising

ROUNDS = 4
Program = Callable[[Engine], object]


def shop() -> MetaData:
    metadata = MetaData()
    Table("person", metadata, Column("id", Integer, primary_key=True), Column("name", String(9)))
    Table(
        "purchase",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("person_id", ForeignKey("person.id"), index=True),
        Column("amount", Integer, CheckConstraint("amount > 0"), server_default="1"),
        Column("state", Enum("open", "paid", name="state")),
        Column("is_gift", Boolean(create_constraint=True, name="gift")),
        sqlite_autoincrement=True,
    )
    return metadata


def digest(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return content.digest(connection.connection.dbapi_connection)


def memory(number: int) -> Engine:
    return create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )


def outcomes(program: Program, new_engine: Callable[[int], Engine]) -> list[object]:
    """What each round comes to."""
    found: list[object] = []
    for number in range(ROUNDS):
        engine = new_engine(number)
        try:
            found.append(program(engine))
        except sqlalchemy.exc.SQLAlchemyError as error:
            found.append((type(error), str(error)))
        found.append(digest(engine))
        engine.dispose()
    return found


def compared(
    make: Callable[[], Program], new_engine: Callable[[int], Engine] = memory, *, audit: bool = True
) -> Counts:
    """Run a program as it is and memoised, and hold the one to the other."""
    return held_to_plain(lambda _: outcomes(make(), new_engine), audit=audit)


@pytest.fixture(params=["memory", "file", "wal"])
def new_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Engine]:
    if request.param == "memory":
        return memory
    made: Iterator[int] = iter(range(1000))

    def new(number: int) -> Engine:
        path = tmp_path / f"{next(made)}.db"
        if request.param == "wal":
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()
        return create_engine(f"sqlite:///{path}")

    return new


def for_each_test(metadata: MetaData) -> Program:
    def program(engine: Engine) -> object:
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
            connection.execute(insert(metadata.tables["purchase"]).values(person_id=1))
            rows = connection.execute(text("SELECT * FROM purchase")).all()
        full = digest(engine)
        metadata.drop_all(engine)
        return rows, full, inspect(engine).get_table_names()

    return program


def test_create_and_drop_for_each_test_are_restored(new_engine: Callable[[int], Engine]) -> None:
    counts = compared(lambda: for_each_test(shop()), new_engine)

    assert counts.replaced == {"create_all": ROUNDS - 2, "drop_all": ROUNDS - 2}
    assert counts.reasons == set()


def test_a_file_that_lives_through_all_tests(tmp_path: Path) -> None:
    made = iter("ab")

    def make() -> Program:
        engine = create_engine(f"sqlite:///{tmp_path / next(made)}")
        program = for_each_test(shop())
        return lambda _: program(engine)

    # What is left of AUTOINCREMENT's table makes the second database another than the first.
    assert compared(make).replaced["drop_all"] == ROUNDS - 2


def test_create_all_where_everything_is_there_does_nothing() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
            metadata.create_all(engine)
            return None

        return program

    assert compared(make).replaced["create_all"] > ROUNDS


def test_a_metadata_that_changes_in_mid_run() -> None:
    def make() -> Program:
        metadata = shop()
        changes: list[Callable[[], object]] = [
            lambda: None,
            lambda: metadata.tables["person"].append_column(Column("age", Integer)),
            lambda: Index("by_name", metadata.tables["person"].c.name),
            lambda: setattr(metadata.tables["person"].c.name.type, "length", 70),
            lambda: setattr(metadata.tables["person"].c.name, "nullable", False),
            lambda: (
                metadata.tables["purchase"]
                .dialect_options["sqlite"]
                .update({"autoincrement": False})
            ),
            lambda: metadata.remove(metadata.tables["purchase"]),
            lambda: Table("late", metadata, Column("id", Integer, primary_key=True)),
            lambda: None,
        ]

        def program(engine: Engine) -> object:
            found = []
            for change in changes:
                change()
                for _ in range(3):
                    metadata.create_all(engine)
                    found.append(digest(engine))
                    metadata.drop_all(engine)
            changes[:] = [lambda: None]
            return found

        return program

    assert compared(make).replaced["create_all"] > 0


def test_two_metadatas_in_one_database() -> None:
    def make() -> Program:
        one, two = shop(), MetaData()
        Table("other", two, Column("id", Integer, primary_key=True))

        def program(engine: Engine) -> object:
            found = []
            for metadata in (one, two):
                metadata.create_all(engine)
                found.append(digest(engine))
            with engine.begin() as connection:
                connection.execute(insert(two.tables["other"]).values(id=7))
            one.drop_all(engine)
            found.append(digest(engine))
            one.create_all(engine)
            two.drop_all(engine)
            return found

        return program

    assert compared(make).replaced["create_all"] > 0


def test_two_databases_in_one_test() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            other = memory(0)
            metadata.create_all(engine)
            metadata.create_all(other)
            with other.begin() as connection:
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
            metadata.drop_all(engine)
            found = digest(other)
            other.dispose()
            return found

        return program

    assert compared(make).replaced["create_all"] >= 2 * ROUNDS - 3


def test_a_schema_that_is_partly_there() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            metadata.create_all(engine, tables=[metadata.tables["person"]])
            found = [digest(engine)]
            metadata.create_all(engine)
            found.append(digest(engine))
            with engine.begin() as connection:
                connection.execute(text("DROP TABLE purchase"))
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
            metadata.create_all(engine)
            return found

        return program

    assert compared(make).replaced["create_all"] >= ROUNDS


def test_tables_of_raw_sql_beside_create_all() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE raw (id INTEGER)"))
                connection.execute(text("INSERT INTO raw VALUES (3)"))
            metadata.drop_all(engine)
            return digest(engine)

        return program

    assert "drop_all" not in compared(make).replaced


def test_create_all_in_a_transaction_that_is_rolled_back() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            with engine.connect() as connection, connection.begin() as transaction:
                metadata.create_all(connection)
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                metadata.drop_all(connection)
                transaction.rollback()
            found = digest(engine)
            with engine.connect() as connection, connection.begin() as transaction:
                connection.exec_driver_sql("BEGIN")
                metadata.create_all(connection)
                transaction.rollback()
            return found, digest(engine)

        return program

    assert "a transaction that is open" in compared(make).reasons


def test_a_connection_begins_its_transaction_all_the_same() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            with engine.connect() as connection:
                metadata.create_all(connection)
                return connection.in_transaction()

        return program

    assert compared(make).replaced["create_all"] == ROUNDS - 2


def test_drop_all_as_the_thing_under_test() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            metadata.drop_all(engine)  # of nothing
            metadata.create_all(engine)
            metadata.drop_all(engine, tables=[metadata.tables["purchase"]])
            names = inspect(engine).get_table_names()
            metadata.drop_all(engine)
            metadata.drop_all(engine, checkfirst=False)
            return names

        return program

    assert compared(make).replaced["drop_all"] > ROUNDS


def test_foreign_keys_that_forbid_a_drop() -> None:
    def make() -> Program:
        metadata = MetaData()
        for name, other in (("a", "b"), ("b", "a")):
            Table(
                name,
                metadata,
                Column("id", Integer, primary_key=True),
                Column("other_id", ForeignKey(f"{other}.id", name=f"fk_{name}")),
            )

        def program(engine: Engine) -> object:
            with engine.begin() as connection:
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            metadata.create_all(engine)
            with pytest.warns(
                sqlalchemy.exc.SAWarning, match="unresolvable foreign key dependency"
            ):
                metadata.drop_all(engine)
            return None

        return program

    counts = compared(make)
    assert counts.reasons == {"tables whose foreign keys form a cycle"}
    assert "drop_all" not in counts.replaced


def test_statements_after_create_are_part_of_what_is_restored() -> None:
    def make() -> Program:
        metadata = shop()
        event.listen(
            metadata.tables["person"],
            "after_create",
            DDL(
                "CREATE TRIGGER upper AFTER INSERT ON person BEGIN "
                "UPDATE person SET name = upper(name); END"
            ),
        )
        return for_each_test(metadata)

    assert compared(make).replaced["create_all"] == ROUNDS - 2


def test_rows_that_statements_after_create_insert_are_not_kept() -> None:
    def make() -> Program:
        metadata = shop()
        listener = DDL("INSERT INTO person (name) VALUES ('Ada')")
        event.listen(metadata, "after_create", listener)
        return for_each_test(metadata)

    assert "create_all" not in compared(make).replaced


def test_functions_that_listen_are_called() -> None:
    called: list[str] = []

    def make() -> Program:
        metadata = shop()
        called.clear()

        @event.listens_for(metadata, "after_create")
        def note(target: object, connection: object, **options: object) -> None:
            called.append("created")

        return for_each_test(metadata)

    counts = compared(make)

    assert called == ["created"] * ROUNDS
    assert any("note" in reason for reason in counts.reasons)


def test_errors_are_the_suites_own() -> None:
    """What is being handled when an error is raised is part of it, and of its traceback."""

    def make() -> Program:
        metadata = shop()

        @event.listens_for(metadata, "after_create")
        def fail(target: object, connection: object, **options: object) -> None:
            raise LookupError("no person")

        def program(engine: Engine) -> object:
            with pytest.raises(LookupError) as caught:
                metadata.create_all(engine)
            return repr(caught.value.__context__)

        return program

    assert any("fail" in reason for reason in compared(make).reasons)


def test_statements_that_somebody_counts_are_sent() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            statements: list[str] = []

            @event.listens_for(engine, "before_cursor_execute")
            def note(conn: Any, cursor: Any, statement: str, *rest: object) -> None:
                statements.append(statement)

            metadata.create_all(engine)
            return statements

        return program

    assert compared(make).reasons == {"an event listener for the engine's statements"}


class Code(TypeDecorator[str]):
    """A type whose length is decided when a statement is made."""

    impl = String
    cache_ok = True
    length = 5

    def load_dialect_impl(self, dialect: Any) -> Any:
        return dialect.type_descriptor(String(type(self).length))


def test_types_that_code_decides_on_are_asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Program:
        metadata = shop()
        Table("coded", metadata, Column("code", Code()))
        lengths = iter((5, 5, 5, 9))

        def program(engine: Engine) -> object:
            monkeypatch.setattr(Code, "length", next(lengths))
            metadata.create_all(engine)
            return None

        return program

    assert compared(make).replaced["create_all"] == 1


def test_types_compiled_for_sqlite_by_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    class Document(JSONB):
        pass

    @compiles(Document, "sqlite")
    def compile_document(element: Any, compiler: Any, **options: Any) -> str:
        return str(compiler.visit_JSON(JSON(), **options))

    def make() -> Program:
        metadata = shop()
        Table("document", metadata, Column("body", Document()))
        return for_each_test(metadata)

    assert compared(make).replaced["create_all"] == ROUNDS - 2


def test_pragmas_before_create_all() -> None:
    def make() -> Program:
        metadata = shop()
        numbers = iter(range(ROUNDS))

        def program(engine: Engine) -> object:
            number = next(numbers)
            with engine.begin() as connection:
                connection.exec_driver_sql(f"PRAGMA user_version = {number // 2}")
                connection.exec_driver_sql(f"PRAGMA page_size = {1024 * (1 + number // 3)}")
            metadata.create_all(engine)
            with engine.connect() as connection:
                return connection.exec_driver_sql("PRAGMA page_size").scalar()

        return program

    compared(make)


def test_a_cursor_that_still_reads() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            metadata.create_all(engine)
            with engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                assert raw is not None
                cursor = raw.cursor()
                cursor.execute("SELECT name FROM sqlite_master")
                first = cursor.fetchone()
                metadata.drop_all(connection)
                return first

        return program

    compared(make, audit=False)


def test_a_temporary_table_of_the_same_name() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE TEMPORARY TABLE person (id INTEGER)")
            metadata.create_all(engine)
            return None

        return program

    assert compared(make).reasons == {"a temporary table"}


def test_threads() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            found: list[object] = []

            def one_thread() -> None:
                own = memory(0)
                for _ in range(5):
                    metadata.create_all(own)
                    found.append(digest(own))
                    metadata.drop_all(own)
                own.dispose()

            threads = [threading.Thread(target=one_thread) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return found

        return program

    assert compared(make, audit=False).replaced["create_all"] > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forked_children() -> None:
    def make() -> Program:
        metadata = shop()

        def program(engine: Engine) -> object:
            metadata.create_all(engine)
            child = os.fork()
            if child == 0:
                own = memory(0)
                metadata.create_all(own)
                os._exit(len(inspect(own).get_table_names()))
            _, status = os.waitpid(child, 0)
            return os.waitstatus_to_exitcode(status)

        return program

    compared(make)


def test_event_loops_of_each_test() -> None:
    def make() -> Program:
        metadata = shop()

        async def one_test() -> object:
            engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
            async with engine.begin() as connection:
                await connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                rows = (await connection.execute(text("SELECT * FROM person"))).all()
                in_memory = await connection.run_sync(
                    lambda sync: sync.exec_driver_sql("PRAGMA journal_mode").scalar()
                )
            async with engine.begin() as connection:
                await connection.run_sync(metadata.drop_all)
                left = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
            await engine.dispose()
            return rows, in_memory, left

        return lambda engine: asyncio.run(one_test())

    assert compared(make).replaced["create_all"] == ROUNDS - 2


def test_afterwards_the_methods_are_sqlalchemys_own() -> None:
    before = MetaData.create_all, MetaData.drop_all
    memoising = Memoising(NEVER_SAMPLED, audit=False)
    memoising.put_up()
    assert MetaData.create_all is not before[0]
    memoising.take_down()

    assert (MetaData.create_all, MetaData.drop_all) == before
