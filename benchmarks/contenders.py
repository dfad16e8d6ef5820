"""The ways to give a test a clean database that every product has, and the bodies of the tests.

The invariant: what is compared works on the same statements, whichever product runs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, text
from sqlalchemy.orm import Session

from benchmarks.measuring import Contender
from benchmarks.schema import WRITTEN
from pytest_slipstream.databases.engines.protocol import Slot


def write(connection: Any) -> None:
    """The body of a test on a driver's connection: three tables, one row each."""
    cursor = connection.cursor()
    for table in WRITTEN:
        cursor.execute(f"INSERT INTO {table} (name) VALUES ('written')")


def write_and_commit(connection: Any) -> None:
    write(connection)
    connection.commit()


def write_by_session(session: Session) -> None:
    for table in WRITTEN:
        session.execute(text(f"INSERT INTO {table} (name) VALUES ('written')"))
    session.commit()


def nothing(_: Any) -> None:
    """The body of a test that does not touch the database."""


def clean(slot: Slot) -> None:
    found = slot.clean()
    if found.cannot is not None:
        raise RuntimeError(f"the slot could not be cleaned: {found.cannot}")


@contextmanager
def reset(slot: Slot, connection: Any) -> Iterator[Any]:
    yield connection
    clean(slot)


@contextmanager
def reset_with_session(slot: Slot, engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session
    clean(slot)


@contextmanager
def outer_transaction(connection: Any) -> Iterator[Any]:
    """The fixture by hand: the test must never commit."""
    yield connection
    connection.rollback()


@contextmanager
def outer_transaction_with_session(engine: Engine) -> Iterator[Session]:
    """The fixture of SQLAlchemy's manual: the session's commits release savepoints."""
    connection: Connection
    with engine.connect() as connection:
        transaction = connection.begin()
        session = Session(connection, join_transaction_mode="create_savepoint")
        yield session
        session.close()
        transaction.rollback()


@contextmanager
def create_and_drop(engine: Engine, metadata: MetaData) -> Iterator[Session]:
    metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    metadata.drop_all(engine)


def on_a_connection(slot: Slot, own: Any, by_hand: Any) -> list[Contender]:
    """`reset` beside a rollback, without SQLAlchemy.

    Args:
        slot: What `reset` cleans.
        own: A connection to it.
        by_hand: A connection to a database of the same content.
    """
    return [
        Contender("reset", partial(reset, slot, own), write_and_commit, 10),
        Contender("rollback by hand", partial(outer_transaction, by_hand), write, 10),
    ]


def with_sessions(
    slot: Slot, *, own: Engine, kept: Engine, empty: Engine, metadata: MetaData
) -> list[Contender]:
    """`reset` beside the fixtures that teams write, through SQLAlchemy's sessions.

    Args:
        slot: What `reset` cleans.
        own: Leads to it.
        kept: Leads to a database of the same content.
        empty: Leads to one without tables.
        metadata: The tables.
    """
    return [
        Contender(
            "reset, SQLAlchemy session",
            partial(reset_with_session, slot, own),
            write_by_session,
            10,
        ),
        Contender(
            "rollback by hand, SQLAlchemy create_savepoint",
            partial(outer_transaction_with_session, kept),
            write_by_session,
            10,
        ),
        Contender(
            "create_all and drop_all", partial(create_and_drop, empty, metadata), write_by_session
        ),
    ]
