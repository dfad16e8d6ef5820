"""MariaDB or MySQL: `reset` beside the fixtures that teams write, on one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

from sqlalchemy import MetaData, create_engine

from benchmarks.contenders import on_a_connection, with_sessions, write_and_commit
from benchmarks.databases import engine_of, slot_of
from benchmarks.measuring import Contender, Findings, Target, in_turns, isolation, rows, whole
from benchmarks.schema import fill, tables
from pytest_slipstream.databases.engines.protocol import Address, Engine
from pytest_slipstream.databases.urls import url
from pytest_slipstream.settings import DatabaseSettings

SETTINGS = DatabaseSettings(engine="mysql")
GROUP = "MariaDB, 30 tables, a test that writes 3"
RIVALS = ("bench_kept", "bench_emptied", "bench_empty")


@contextmanager
def emptied(connection: Any, statement: str) -> Iterator[Any]:
    """All tables emptied after the test, as teams do; seed rows would have to be made again."""
    yield connection
    with connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for table in tables(30).sorted_tables:
            cursor.execute(f"{statement} {table.name}")
        cursor.execute("SET foreign_key_checks = 1")
    connection.commit()


@contextmanager
def rival_databases(engine: Engine, metadata: MetaData) -> Iterator[None]:
    """Three databases for the rivals; two of them with the tables and their rows."""
    with closing(engine.connect(engine.address("mysql"))) as connection:
        cursor = connection.cursor()
        for name in RIVALS:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
        for name in RIVALS[:2]:
            fill(url(engine.address(name)), metadata)
        try:
            yield
        finally:
            for name in RIVALS:
                cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def empty_database() -> Iterator[Address]:
    """An empty database on the server of the other measurements."""
    with engine_of(SETTINGS) as (engine, _):
        with closing(engine.connect(engine.address("mysql"))) as connection:
            cursor = connection.cursor()
            cursor.execute("DROP DATABASE IF EXISTS bench_by_hand")
            cursor.execute("CREATE DATABASE bench_by_hand")
            try:
                yield engine.address("bench_by_hand")
            finally:
                cursor.execute("DROP DATABASE bench_by_hand")


def product(address: Address) -> str:
    """``MariaDB`` or ``MySQL``, whichever this machine has."""
    engine = create_engine(url(address))
    with engine.connect() as connection:
        version = str(connection.exec_driver_sql("SELECT version()").scalar_one())
    engine.dispose()
    return "MariaDB" if "mariadb" in version.lower() else "MySQL"


def strategies(rounds: int) -> Findings:
    """Every way to give a test a clean database."""
    metadata = tables(30)
    with ExitStack() as stack:
        engine, owner = stack.enter_context(engine_of(SETTINGS))
        stack.enter_context(rival_databases(engine, metadata))
        slot, session_slot = (
            stack.enter_context(slot_of(engine, owner, partial(fill, metadata=metadata)))
            for _ in range(2)
        )
        own, by_hand, to_empty = (
            stack.enter_context(closing(engine.connect(address)))
            for address in (slot.address, *map(engine.address, RIVALS[:2]))
        )
        own_engine, kept_engine, empty_engine = (
            create_engine(url(address))
            for address in (
                session_slot.address,
                engine.address("bench_kept"),
                engine.address("bench_empty"),
            )
        )
        for each in (own_engine, kept_engine, empty_engine):
            stack.callback(each.dispose)
        costs = in_turns(
            [
                *on_a_connection(slot, own, by_hand),
                *with_sessions(
                    session_slot,
                    own=own_engine,
                    kept=kept_engine,
                    empty=empty_engine,
                    metadata=metadata,
                ),
                Contender(
                    "DELETE of all tables",
                    partial(emptied, to_empty, "DELETE FROM"),
                    write_and_commit,
                    5,
                ),
                Contender(
                    "TRUNCATE of all tables",
                    partial(emptied, to_empty, "TRUNCATE TABLE"),
                    write_and_commit,
                ),
            ],
            rounds,
        )
        name = product(slot.address)
    ours = costs["reset"]
    return Findings(
        rows(GROUP, costs),
        (
            Target(
                "`reset` on MariaDB cheaper than create_all and drop_all",
                isolation(costs["create_all and drop_all"]) / isolation(ours),
                15,
                "times",
                at_least=True,
            ),
            Target(
                "a whole test with `reset` on MariaDB through SQLAlchemy sessions, against "
                "`create_savepoint`",
                whole(costs["reset, SQLAlchemy session"])
                / whole(costs["rollback by hand, SQLAlchemy create_savepoint"]),
                4,
                "times",
            ),
        ),
    ).on(name)
