"""Memoised schema work beside itself as it is written: 30 tables made and dropped for each test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import psycopg
from examples.server import empty_database
from sqlalchemy import Engine, MetaData, StaticPool, create_engine, text

from benchmarks import mysql
from benchmarks.measuring import Contender, Findings, Target, in_turns, isolation, rows
from benchmarks.schema import WRITTEN, tables
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.urls import url

NEVER_SAMPLED = "00000001" + "0" * 24
OTHER = "hand_written_too"
BLOCK = 15
"""So many pairs of a contender follow one another. No suite makes its tables now by itself and now
not: a memoised pair that comes after one as written, each time, would pay for the catalogue that
the other session has rewritten, and for caches that are full of SQLAlchemy's compiler."""


def in_memory() -> Engine:
    """A new engine for each test, as SQLModel's manual shows; to make it is no part of the pair."""
    return create_engine("sqlite://", poolclass=StaticPool)


@contextmanager
def create_and_drop(
    create: Callable[..., None], drop: Callable[..., None], new_engine: Callable[[], Engine]
) -> Iterator[Engine]:
    engine = new_engine()
    create(engine)
    yield engine
    drop(engine)


def write(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in WRITTEN:
            connection.execute(text(f"INSERT INTO {table} (name) VALUES ('written')"))


def read(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"SELECT * FROM {WRITTEN[0]}"))


def engines_in_memory(rounds: int) -> Callable[[], Engine]:
    """Gives an engine that was made before for each test; none has connected yet."""
    made = [in_memory() for _ in range(rounds)]
    return made.pop


def ways(
    product: str, plain: Callable[[], Engine], memoised: Callable[[], Engine]
) -> list[Contender]:
    """Both ways, with a test that writes and with one that reads only."""
    found = []
    own, ours = tables(30), tables(30)
    methods: list[Any] = [MetaData.create_all, MetaData.drop_all]
    as_written = [partial(method.__wrapped__, own) for method in methods]
    replaced = [partial(method, ours) for method in methods]
    for what, body in (("a test that writes 3", write), ("a test that reads", read)):
        for name, (create, drop), new_engine in (
            ("as written", as_written, plain),
            ("memoised", replaced, memoised),
        ):
            fixture = partial(create_and_drop, create, drop, new_engine)
            found.append(Contender(f"{product}, {what}: {name}", fixture, body, each_round=BLOCK))
    return found


@contextmanager
def servers() -> Iterator[tuple[Engine, Engine]]:
    """Two empty databases of one PostgreSQL server."""
    with empty_database() as address, ExitStack() as stack:
        maintenance = url(address, driver="")
        connection = stack.enter_context(psycopg.connect(maintenance, autocommit=True))
        connection.execute(f"DROP DATABASE IF EXISTS {OTHER} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {OTHER}".encode())
        here = create_engine(url(address, driver="psycopg"))
        there = create_engine(here.url.set(database=OTHER))
        yield here, there
        here.dispose()
        there.dispose()
        connection.execute(f"DROP DATABASE {OTHER} WITH (FORCE)".encode())


@contextmanager
def mysql_servers() -> Iterator[tuple[Engine, Engine, str]]:
    """Two empty databases of one MariaDB or MySQL server, and which it is."""
    with mysql.empty_database() as address:
        here = create_engine(url(address))
        there = create_engine(here.url.set(database=OTHER))
        with here.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {OTHER}"))
            connection.execute(text(f"CREATE DATABASE {OTHER}"))
        yield here, there, mysql.product(address)
        with here.connect() as connection:
            connection.execute(text(f"DROP DATABASE {OTHER}"))
        here.dispose()
        there.dispose()


def pairs(rounds: int) -> Findings:
    """A create_all and a drop_all, on SQLite in memory, PostgreSQL and MariaDB."""
    memoising = Memoising(NEVER_SAMPLED, audit=False)
    memoising.put_up()
    blocks = 1 + math.ceil(rounds / BLOCK)  # one to learn in
    new_engine = engines_in_memory(4 * (blocks * BLOCK + 2))  # each turn begins with one more
    with servers() as (here, there), mysql_servers() as (beside, opposite, product):
        contenders = [
            *ways("SQLite in memory", new_engine, new_engine),
            *ways("PostgreSQL", lambda: here, lambda: there),
            *ways("MariaDB", lambda: beside, lambda: opposite),
        ]
        try:
            in_turns(contenders, 1)
            costs = in_turns(contenders, blocks - 1)
        finally:
            memoising.take_down()
    sqlite, postgresql, mariadb = (
        isolation(costs[f"{engine}, a test that reads: memoised"]) * 1e3
        for engine in ("SQLite in memory", "PostgreSQL", "MariaDB")
    )
    return Findings(
        rows("create_all and drop_all of 30 tables for each test", costs),
        (
            Target("a memoised pair on SQLite in memory", sqlite, 0.5, "ms"),
            Target("a memoised pair on PostgreSQL", postgresql, 3.0, "ms"),
            Target("a memoised pair on MariaDB", mariadb, 3.0, "ms"),
        ),
    ).on(product)
