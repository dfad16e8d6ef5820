"""PostgreSQL: `reset` and `clone` beside the fixtures that teams write, on one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from typing import Any

import psycopg
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import MetaData, create_engine, text

from benchmarks.contenders import (
    nothing,
    on_a_connection,
    outer_transaction,
    reset,
    with_sessions,
    write_and_commit,
)
from benchmarks.databases import engine_of, slot_of
from benchmarks.measuring import Contender, Findings, Target, in_turns, isolation, rows, whole
from benchmarks.schema import fill, tables
from pytest_slipstream.databases.engines.protocol import Address, Engine, Slot
from pytest_slipstream.databases.urls import url
from pytest_slipstream.settings import DatabaseSettings

SETTINGS = DatabaseSettings(engine="postgresql")
GROUP = "PostgreSQL, 30 tables, a test that writes 3"
RIVAL, RIVAL_TEMPLATE = "bench_rival", "bench_rival_template"
BIG_ROWS = 200_000

Connected = psycopg.Connection[Any]


@contextmanager
def clone(slot: Slot) -> Iterator[Connected]:
    slot.prepare()
    connection = psycopg.connect(url(slot.address, driver=""))
    yield connection
    connection.close()
    slot.replace()


@contextmanager
def database_from_template(
    admin: Connected, address: Callable[[str], Address], numbers: Iterator[int], strategy: str
) -> Iterator[Connected]:
    """The database of system 3: made from a template, used once, dropped."""
    name = f"{RIVAL}_{next(numbers)}"
    admin.execute(f"CREATE DATABASE {name} TEMPLATE {RIVAL_TEMPLATE}{strategy}")
    connection = psycopg.connect(url(address(name), driver=""))
    yield connection
    connection.close()
    admin.execute(f"DROP DATABASE {name}")


@contextmanager
def janitor_database(
    address: Callable[[str], Address], numbers: Iterator[int]
) -> Iterator[Connected]:
    """What pytest-postgresql's client fixture does for each test."""
    name = f"{RIVAL}_{next(numbers)}"
    where = address(name)
    janitor = DatabaseJanitor(
        user=where.user,
        host=where.host,
        port=where.port,
        dbname=name,
        template_dbname=RIVAL_TEMPLATE,
    )
    with janitor:
        connection = psycopg.connect(url(where, driver=""))
        yield connection
        connection.close()


@contextmanager
def rival_databases(engine: Engine, metadata: MetaData) -> Iterator[Connected]:
    """A database and a plain template for the rivals; yields an administrator's connection."""
    maintenance = url(engine.address("postgres"), driver="")
    with psycopg.connect(maintenance, autocommit=True) as admin:
        drop_rivals(admin)
        for name in (RIVAL, RIVAL_TEMPLATE):
            admin.execute(f"CREATE DATABASE {name}")
        fill(url(engine.address(RIVAL_TEMPLATE)), metadata)
        try:
            yield admin
        finally:
            drop_rivals(admin)


def drop_rivals(admin: Connected) -> None:
    found = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'").fetchall()
    for (name,) in found:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def strategies(rounds: int) -> Findings:
    """The main table: every way to give a test a clean database."""
    metadata = tables(30)
    with ExitStack() as stack:
        engine, owner = stack.enter_context(engine_of(SETTINGS))
        admin = stack.enter_context(rival_databases(engine, metadata))
        slot, session_slot, clone_slot = (
            stack.enter_context(slot_of(engine, owner, partial(fill, metadata=metadata)))
            for _ in range(3)
        )
        own = stack.enter_context(psycopg.connect(url(slot.address, driver="")))
        rival_name = f"{RIVAL}_kept"
        admin.execute(f"CREATE DATABASE {rival_name} TEMPLATE {RIVAL_TEMPLATE}")
        kept = engine.address(rival_name)
        by_hand = stack.enter_context(psycopg.connect(url(kept, driver="")))
        own_engine = create_engine(url(session_slot.address))
        kept_engine, empty_engine = (
            create_engine(url(kept)),
            create_engine(url(engine.address(RIVAL))),
        )
        for each in (own_engine, kept_engine, empty_engine):
            stack.callback(each.dispose)
        numbers = count()
        template = partial(database_from_template, admin, engine.address, numbers)
        contenders = [
            *on_a_connection(slot, own, by_hand),
            *with_sessions(
                session_slot,
                own=own_engine,
                kept=kept_engine,
                empty=empty_engine,
                metadata=metadata,
            ),
            Contender("clone", partial(clone, clone_slot), write_and_commit),
            Contender("CREATE DATABASE TEMPLATE", partial(template, ""), write_and_commit),
            Contender(
                "CREATE DATABASE TEMPLATE, FILE_COPY",
                partial(template, " STRATEGY file_copy"),
                write_and_commit,
            ),
            Contender(
                "pytest-postgresql, template",
                partial(janitor_database, engine.address, numbers),
                write_and_commit,
            ),
        ]
        costs = in_turns(contenders, rounds)
    ours, by_rollback = costs["reset"], costs["rollback by hand"]
    cloned = isolation(costs["CREATE DATABASE TEMPLATE"])
    return Findings(
        rows(GROUP, costs),
        (
            Target(
                "a whole test with `reset`, against one with a hand-written rollback",
                whole(ours) / whole(by_rollback),
                2,
                "times",
            ),
            Target(
                "the same through SQLAlchemy sessions, against `create_savepoint`",
                whole(costs["reset, SQLAlchemy session"])
                / whole(costs["rollback by hand, SQLAlchemy create_savepoint"]),
                2,
                "times",
            ),
            Target(
                "`reset` cheaper than CREATE DATABASE TEMPLATE, drop and reconnect",
                cloned / isolation(ours),
                25,
                "times",
                at_least=True,
            ),
        ),
    )


def sizes(rounds: int) -> Findings:
    """300 tables against 30, and a test that touches nothing."""
    with ExitStack() as stack:
        engine, owner = stack.enter_context(engine_of(SETTINGS))
        contenders = []
        for number in (30, 300):
            metadata = tables(number)
            slot = stack.enter_context(slot_of(engine, owner, partial(fill, metadata=metadata)))
            connection = stack.enter_context(psycopg.connect(url(slot.address, driver="")))
            isolated = partial(reset, slot, connection)
            contenders += [
                Contender(f"{number} tables, 3 written", isolated, write_and_commit, 10),
                Contender(f"{number} tables, none written", isolated, nothing, 10),
            ]
        costs = in_turns(contenders, rounds)
    return Findings(
        rows("PostgreSQL, `reset` and the number of tables", costs),
        (
            Target(
                "`reset` with 300 tables, against 30",
                isolation(costs["300 tables, 3 written"])
                / isolation(costs["30 tables, 3 written"]),
                2,
                "times",
            ),
            Target(
                "`reset` after a test that touched nothing",
                isolation(costs["30 tables, none written"]) * 1e3,
                0.3,
                "ms",
            ),
        ),
    )


def drift(tests: int) -> Findings:
    """Whether dead rows pile up: the 50 tests around the last against the 50 around the 50th."""
    metadata = tables(30)
    with ExitStack() as stack:
        engine, owner = stack.enter_context(engine_of(SETTINGS))
        slot = stack.enter_context(slot_of(engine, owner, partial(fill, metadata=metadata)))
        connection = stack.enter_context(psycopg.connect(url(slot.address, driver="")))
        contender = Contender("reset", partial(reset, slot, connection), write_and_commit, 1)
        costs = in_turns([contender], tests + 25)["reset"]
    early, late = costs[25:75], costs[tests - 25 : tests + 25]
    group = "PostgreSQL, `reset` over a long run"
    return Findings(
        rows(group, {"test 50": early, f"test {tests:,}": late}),
        (
            Target(
                f"`reset` at test {tests:,}, against test 50",
                isolation(late) / isolation(early),
                1.1,
                "times",
            ),
        ),
    )


def big_seed(rounds: int) -> Findings:
    """Where slipstream does not help: a test that writes to a table with a huge seed."""
    metadata = tables(30)

    def fill_big(database_url: str) -> None:
        fill(database_url, metadata)
        engine = create_engine(database_url)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO table_005 (name) "
                    f"SELECT 'row ' || number FROM generate_series(1, {BIG_ROWS}) AS number"
                )
            )
        engine.dispose()

    def write_big(connection: Connected) -> None:
        connection.execute("INSERT INTO table_005 (name) VALUES ('written')")

    def write_big_and_commit(connection: Connected) -> None:
        write_big(connection)
        connection.commit()

    with ExitStack() as stack:
        engine, owner = stack.enter_context(engine_of(SETTINGS))
        slot = stack.enter_context(slot_of(engine, owner, fill_big))
        connection = stack.enter_context(psycopg.connect(url(slot.address, driver="")))
        costs = in_turns(
            [
                Contender(
                    "reset, the huge table written",
                    partial(reset, slot, connection),
                    write_big_and_commit,
                ),
                Contender(
                    "reset, other tables written",
                    partial(reset, slot, connection),
                    write_and_commit,
                ),
                Contender(
                    "rollback by hand, the huge table written",
                    partial(outer_transaction, connection),
                    write_big,
                ),
            ],
            rounds,
        )
    return Findings(rows(f"PostgreSQL, one table of {BIG_ROWS:,} seed rows", costs))
