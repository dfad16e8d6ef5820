"""The way from SQLAlchemy's connection to a session of PostgreSQL.

The invariant: what slipstream sends goes through the caller's connection, in its transaction, and
is told to nobody who listens to the engine's statements, since where somebody does nothing is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import DDL, MetaData

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import Session
from pytest_slipstream.databases.memoising.postgresql.places import Places, drop_own
from pytest_slipstream.databases.memoising.postgresql.state import State
from pytest_slipstream.databases.memoising.sqlalchemy.snapshot import listeners

DRIVERS = ("asyncpg", "psycopg", "psycopg2")
# What a listener may do: it is all in the catalogue of this database, and so it is compared.
_IN_CATALOGUE = re.compile(
    r"\s*(CREATE(\s+OR\s+REPLACE)?(\s+CONSTRAINT|\s+UNIQUE)?"
    r"\s+(FUNCTION|PROCEDURE|TRIGGER|INDEX|VIEW|TYPE|DOMAIN|SEQUENCE|POLICY|RULE)"
    r"|ALTER\s+TABLE|COMMENT\s+ON|DROP\s+(FUNCTION|PROCEDURE|TRIGGER|INDEX|VIEW|TYPE|DOMAIN"
    r"|SEQUENCE|POLICY|RULE))\s",
    re.IGNORECASE,
)


class SqlalchemySession(Session):
    """A connection in the transaction that the caller is in.

    What is sent goes through the driver's cursor: for a question of one row SQLAlchemy takes as
    long as the server. Errors are told as SQLAlchemy tells them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _execute(self, statement: str) -> Any:
        connection: Any = self._connection
        cursor = connection.connection.cursor()
        try:
            cursor.execute(statement)
        except BaseException as error:  # noqa: BLE001 - told as SQLAlchemy tells it
            connection._handle_dbapi_exception(error, statement, None, cursor, None)
        return cursor


def enter(
    places: Places, connection: Connection, metadata: MetaData
) -> tuple[SqlalchemySession, State]:
    """The session of a connection, and the state of its database.

    Raises:
        UnknownResultError: It is no session of which that can be known.
    """
    refuse_driver(connection)
    refuse_statements(metadata)
    session = SqlalchemySession(connection)
    return session, state_of(places, connection, session)


def state_of(places: Places, connection: Connection, session: Session) -> State:
    """The state of a connection's database, in which there may be schemas of slipstream's then."""
    return places.enter(session, connection.engine.url.host, lambda: _leaving(connection))


def refuse_driver(connection: Connection) -> None:
    """It must be a driver that is known, in a transaction.

    Raises:
        UnknownResultError: It is not.
    """
    if not hasattr(connection.dialect, "loaded_dbapi"):
        raise UnknownResultError("SQLAlchemy before version 2")
    if connection.dialect.driver not in DRIVERS:
        raise UnknownResultError(f"the driver {connection.dialect.driver}")
    proxy: Any = connection.connection
    if getattr(proxy.dbapi_connection, "autocommit", True) or not connection.in_transaction():
        raise UnknownResultError("a connection without a transaction")


def refuse_statements(metadata: MetaData) -> None:
    """What listeners send must be definitions in the same database.

    Raises:
        UnknownResultError: It may do anything.
    """
    for listener in listeners(metadata):
        if isinstance(listener, DDL) and not _IN_CATALOGUE.match(str(listener.statement)):
            raise UnknownResultError("an event listener whose statement may do anything")


def _leaving(connection: Connection) -> Callable[[], None]:
    """Drops the schemas over a connection that is made as the engine makes its own."""
    pool = connection.engine.pool.recreate()
    dialect: Any = connection.dialect

    def drop() -> None:
        # A database that is gone, or does not answer any more, has none.
        with suppress(SQLAlchemyError, dialect.loaded_dbapi.Error, OSError):
            drop_own(pool.connect())
        pool.dispose()

    if not dialect.is_async:
        return drop
    from sqlalchemy.util import greenlet_spawn

    return lambda: asyncio.run(greenlet_spawn(drop))
