"""SQLite: `reset` beside create/drop and a rollback, on 30 tables and 1 MB of data."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import MetaData, StaticPool, create_engine, text

from benchmarks.contenders import nothing, on_a_connection, reset
from benchmarks.databases import engine_of, slot_of
from benchmarks.measuring import Contender, Findings, Target, in_turns, isolation, rows
from benchmarks.schema import WRITTEN, fill, tables
from pytest_slipstream.settings import DatabaseSettings

# 3 seeded tables of 20 rows each: about 1 MB.
WIDTH = 17_000


def write_by_sqlalchemy(engine: Any) -> None:
    with engine.begin() as connection:
        for table in WRITTEN:
            connection.execute(text(f"INSERT INTO {table} (name) VALUES ('written')"))


@contextmanager
def create_and_drop(metadata: MetaData) -> Iterator[Any]:
    """An engine in memory for each test, as SQLModel's manual shows; without seed rows."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    yield engine
    metadata.drop_all(engine)
    engine.dispose()


def strategies(rounds: int) -> Findings:
    """Every way to give a test a clean SQLite database."""
    metadata = tables(30)
    with ExitStack() as stack:
        engine, owner = stack.enter_context(engine_of(DatabaseSettings(engine="sqlite")))
        slot = stack.enter_context(
            slot_of(engine, owner, partial(fill, metadata=metadata, width=WIDTH))
        )
        connection = stack.enter_context(closing(sqlite3.connect(slot.address.path)))
        directory = Path(stack.enter_context(TemporaryDirectory()))
        fill(f"sqlite:///{directory / 'rival.db'}", metadata, width=WIDTH)
        rival = stack.enter_context(closing(sqlite3.connect(directory / "rival.db")))
        costs = in_turns(
            [
                *on_a_connection(slot, connection, rival),
                Contender("reset, none written", partial(reset, slot, connection), nothing, 10),
                Contender(
                    "create_all and drop_all, in memory, SQLAlchemy",
                    partial(create_and_drop, metadata),
                    write_by_sqlalchemy,
                ),
            ],
            rounds,
        )
    return Findings(
        rows("SQLite, 30 tables and 1 MB, a test that writes 3", costs),
        (
            Target("`reset` on SQLite", isolation(costs["reset"]) * 1e3, 0.5, "ms"),
            Target(
                "`reset` on SQLite after a test that touched nothing",
                isolation(costs["reset, none written"]) * 1e3,
                0.3,
                "ms",
            ),
        ),
    )
