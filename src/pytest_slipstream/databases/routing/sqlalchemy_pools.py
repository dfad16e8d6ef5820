"""SQLAlchemy's pools, sync and async, 1.3 to 2.x, by the pool events of its public API.

A connection remembers when and on which event loop it was made. At checkout one that is older than
the last `discard` is pinged, and one that belongs to another event loop is left behind; both are
replaced before the application sees them.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import event, exc
from sqlalchemy.pool import Pool

from pytest_slipstream.databases.routing.ownership import Ownership
from pytest_slipstream.databases.routing.parted_pools import PartedPools

_KEY = "slipstream"
_BOUND_TO_A_LOOP = {"asyncpg": "_transport", "asyncmy": "_transport", "aiomysql": "_writer"}
"""Drivers whose connections work on one event loop only, and where these have their transport."""
_IN_TRANSACTION = (2, 3)  # libpq's PQTRANS_INTRANS and PQTRANS_INERROR
_SERVER_STATUS_IN_TRANS = 1  # MySQL's protocol


class SQLAlchemyPools:
    """Listens to all pools, those that exist already included, until `close`.

    Args:
        ownership: Whose the running code is, while tests are in flight together.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._parted = PartedPools(ownership)
        self._discards = 0
        self._out: set[Any] = set()
        self._kept_open: set[Any] = set()
        for name, listener in self._listeners():
            event.listen(Pool, name, listener)

    def _listeners(self) -> tuple[tuple[str, Callable[..., None]], ...]:
        return (
            ("connect", self._connect),
            ("checkout", self._checkout),
            ("checkin", self._checkin),
        )

    def discard(self) -> None:
        """Connections made before now are pinged before they are handed out again."""
        self._discards += 1

    def close(self) -> None:
        """Listen no more."""
        for name, listener in self._listeners():
            event.remove(Pool, name, listener)
        self._parted.close()

    async def leave_slots(self) -> None:
        """Close the connections to the slots of tests in flight."""
        await self._parted.leave()

    def begin_test(self) -> None:
        """Transactions that are open by now are wider fixtures'."""
        self._kept_open = {record for record in self._out if _is_in_transaction(record)}

    def roll_back(self, database: str) -> list[str]:
        """End the transactions that a test left on connections to ``database``.

        A session that lives in a module goes on afterwards, while one whose connection the server
        ended would fail in the next test. psycopg, psycopg2 and PyMySQL; others are left to the
        server.

        Returns:
            What was rolled back, in words.
        """
        found = []
        for record in self._out - self._kept_open:
            if _is_in_transaction(record) and _database(record.dbapi_connection) == database:
                record.dbapi_connection.rollback()
                found.append("of a SQLAlchemy connection that was not closed; rolled back")
        return found

    def _connect(self, dbapi_connection: Any, record: Any) -> None:
        record.info[_KEY] = (self._discards, _running_loop())

    def _checkout(self, dbapi_connection: Any, record: Any, proxy: Any) -> None:
        made_at, loop = record.info.get(_KEY, (0, None))
        dialect = proxy._pool._dialect
        entrance = self._ownership.opened_at(_physical(dbapi_connection))
        if entrance is not None:
            self._parted.part(proxy._pool, entrance.database)
            if not self._ownership.is_own(entrance):
                raise exc.DisconnectionError("the connection leads to another test's slot")
        if loop is not None and dialect.driver in _BOUND_TO_A_LOOP:
            here = _running_loop()
            if here is not None and here() is not loop():
                _leave(dbapi_connection, record, _BOUND_TO_A_LOOP[dialect.driver])
                raise exc.DisconnectionError("the connection belongs to another event loop")
        if made_at < self._discards:
            try:
                dialect.do_ping(dbapi_connection)
            except dialect.dbapi.Error as error:
                raise exc.DisconnectionError("the slot was made anew") from error
            record.info[_KEY] = (self._discards, loop)
        self._out.add(record)

    def _checkin(self, dbapi_connection: Any, record: Any) -> None:
        self._out.discard(record)


def _is_in_transaction(record: Any) -> bool:
    """For drivers whose connections can tell without asking the server."""
    connection = record.dbapi_connection
    if type(connection).__module__.startswith("pymysql."):
        # The status that comes with rows is not kept, so a result without autocommit counts too.
        reads = not connection.get_autocommit() and getattr(connection, "_result", None) is not None
        return reads or bool(connection.server_status & _SERVER_STATUS_IN_TRANS)
    info = getattr(connection, "info", None)
    return getattr(info, "transaction_status", None) in _IN_TRANSACTION


def _database(connection: Any) -> object:
    """The database that a connection was made to: libpq's, or PyMySQL's."""
    info = getattr(connection, "info", None)
    return connection.db.decode() if info is None else info.dbname


def _physical(connection: Any) -> Any:
    """The driver's own connection below SQLAlchemy's, and sqlite3's below aiosqlite's."""
    driver = getattr(connection, "driver_connection", connection)
    return getattr(driver, "_connection", driver) if hasattr(driver, "_tx") else driver


def _running_loop() -> weakref.ref[asyncio.AbstractEventLoop] | None:
    try:
        return weakref.ref(asyncio.get_running_loop())
    except RuntimeError:
        return None


def _leave(dbapi_connection: Any, record: Any, held_in: str) -> None:
    """Close a connection whose event loop cannot do it any more, without a word."""
    connection = getattr(dbapi_connection, "_connection", dbapi_connection)
    with suppress(RuntimeError):  # the loop is closed: nobody will tell the transport
        getattr(connection, "terminate", connection.close)()
    held = getattr(connection, held_in)
    transport = getattr(held, "transport", held)
    if transport is not None and getattr(transport, "_sock", None) is not None:
        transport._sock.close()
        transport._sock = None
    # Neither its own finalizer nor the pool must close it once more, on the wrong loop.
    setattr(connection, held_in, None)
    record.dbapi_connection = None
