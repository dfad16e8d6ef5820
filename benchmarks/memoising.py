"""Memoised schema work beside itself as it is written: 30 tables made and dropped for each test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median
from typing import Any

import psycopg
from examples.server import empty_database
from sqlalchemy import Engine, MetaData, StaticPool, create_engine, inspect, text

from benchmarks import mysql
from benchmarks.measuring import Contender, Cost, Findings, Target, in_turns, isolation, rows
from benchmarks.schema import WRITTEN, tables
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.urls import url

NEVER_SAMPLED = "00000001" + "0" * 24
OTHER = "hand_written_too"
BESIDE = "beside_"
LIMITS_MS = {"SQLite in memory": 0.5, "PostgreSQL": 3.0, "MariaDB": 3.0}
Method = Callable[..., None]
BLOCK = 15
"""So many pairs of a contender follow one another. No suite makes its tables now by itself and now
not: a memoised pair that comes after one as written, each time, would pay for the catalogue that
the other session has rewritten, and for caches that are full of SQLAlchemy's compiler."""


def in_memory() -> Engine:
    """A new engine for each test, as SQLModel's manual shows. To make and to connect it is no part
    of the pair: it is done with either way, and PostgreSQL's and MariaDB's have connected too."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    engine.connect().close()
    return engine


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


BODIES = {"a test that writes 3": write, "a test that reads": read}


def engines_in_memory(rounds: int) -> Callable[[], Engine]:
    """Gives an engine that was made before for each test."""
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
    for what, body in BODIES.items():
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


def met_once(create: Method, drop: Method, new_engine: Callable[[], Engine], metadatas: int) -> Any:
    """Gives the fixture of a metadata that is created and dropped once in a run."""
    made = [tables(30) for _ in range(metadatas)]

    @contextmanager
    def isolated() -> Iterator[Engine]:
        metadata, engine = made.pop(), new_engine()
        with create_and_drop(partial(create, metadata), partial(drop, metadata), lambda: engine):
            yield engine

    return isolated


def beside(engine: Engine) -> None:
    """Make a table that is none of the metadata's, which has never been there before."""
    with engine.begin() as connection:
        names = inspect(connection).get_table_names()
        number = max(
            (int(name.removeprefix(BESIDE)) for name in names if BESIDE in name), default=0
        )
        connection.execute(text(f"DROP TABLE IF EXISTS {BESIDE}{number}"))
        connection.execute(text(f"CREATE TABLE {BESIDE}{number + 1} (id integer)"))


def compared(product: str, plain: Engine, memoised: Engine, rounds: int) -> list[Contender]:
    """What is met once, and what never meets the same state again; each as written and memoised."""
    found = []
    own, ours = tables(30), tables(30)
    methods: list[Any] = [MetaData.create_all, MetaData.drop_all]
    for name, engine, metadata, (create, drop) in (
        ("as written", plain, own, [method.__wrapped__ for method in methods]),
        ("memoised", memoised, ours, methods),
    ):
        once = met_once(create, drop, partial(_same, engine), rounds + 1)
        found.append(Contender(f"{product}, met once: {name}", once, read))
        again = partial(
            create_and_drop,
            partial(create, metadata),
            partial(drop, metadata),
            partial(_same, engine),
        )
        found.append(Contender(f"{product}, another state each time: {name}", again, beside))
    return found


def _same(engine: Engine) -> Engine:
    return engine


def misses(rounds: int) -> Findings:
    """What memoising costs where nothing is replaced."""
    memoising = Memoising(NEVER_SAMPLED, audit=False)
    memoising.put_up()
    with servers() as (here, there), mysql_servers() as (beside_it, opposite, product):
        places = {
            "SQLite in memory": (in_memory(), in_memory()),
            "PostgreSQL": (here, there),
            "MariaDB": (beside_it, opposite),
        }
        try:
            costs: dict[str, list[Cost]] = {}
            for name, (plain, memoised) in places.items():
                costs |= in_turns(compared(name, plain, memoised, rounds), rounds)
        finally:
            memoising.take_down()
    targets = [
        Target(f"{name}, {what}: memoised against as written", slower(costs, name, what), 1.05, "x")
        for name in places
        for what in ("met once", "another state each time")
    ]
    group = "create_all and drop_all of 30 tables, where nothing is replaced"
    return Findings(rows(group, costs), tuple(targets)).on(product)


def slower(costs: dict[str, list[Cost]], product: str, what: str) -> float:
    """How much longer it takes, test by test: the median."""
    plain, memoised = (costs[f"{product}, {what}: {way}"] for way in ("as written", "memoised"))
    return median(
        ours.isolation_s / own.isolation_s for own, ours in zip(plain, memoised, strict=True)
    )


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
    targets = [
        Target(f"a memoised pair on {engine}, {what}", isolation(costs[key]) * 1e3, limit, "ms")
        for engine, limit in LIMITS_MS.items()
        for what in BODIES
        if (key := f"{engine}, {what}: memoised")
    ]
    found = rows("create_all and drop_all of 30 tables for each test", costs)
    return Findings(found, tuple(targets)).on(product)
