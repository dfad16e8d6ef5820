"""SQLAlchemy's pools, sync and async, 1.3 to 2.x, by the pool events of its public API.

A connection remembers when and on which event loop it was made. At checkout one that is older than
the last `discard` is pinged, and one that belongs to another event loop is left behind; both are
replaced before the application sees them.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from typing import Any

from sqlalchemy import event, exc
from sqlalchemy.pool import Pool

_KEY = "slipstream"


class SQLAlchemyPools:
    """Listens to all pools, those that exist already included, until `close`."""

    def __init__(self) -> None:
        self._discards = 0
        event.listen(Pool, "connect", self._connect)
        event.listen(Pool, "checkout", self._checkout)

    def discard(self) -> None:
        """Connections made before now are pinged before they are handed out again."""
        self._discards += 1

    def close(self) -> None:
        """Listen no more."""
        event.remove(Pool, "connect", self._connect)
        event.remove(Pool, "checkout", self._checkout)

    def _connect(self, dbapi_connection: Any, record: Any) -> None:
        record.info[_KEY] = (self._discards, _running_loop())

    def _checkout(self, dbapi_connection: Any, record: Any, proxy: Any) -> None:
        made_at, loop = record.info.get(_KEY, (0, None))
        dialect = proxy._pool._dialect
        if loop is not None and dialect.driver == "asyncpg":
            here = _running_loop()
            if here is not None and here() is not loop():
                _leave(dbapi_connection, record)
                raise exc.DisconnectionError("the connection belongs to another event loop")
        if made_at < self._discards:
            try:
                dialect.do_ping(dbapi_connection)
            except dialect.dbapi.Error as error:
                raise exc.DisconnectionError("the slot was made anew") from error
            record.info[_KEY] = (self._discards, loop)


def _running_loop() -> weakref.ref[asyncio.AbstractEventLoop] | None:
    try:
        return weakref.ref(asyncio.get_running_loop())
    except RuntimeError:
        return None


def _leave(dbapi_connection: Any, record: Any) -> None:
    """Close an asyncpg connection whose event loop cannot do it any more, without a word."""
    connection = getattr(dbapi_connection, "_connection", dbapi_connection)
    transport = connection._transport
    with suppress(RuntimeError):  # the loop is closed: nobody will tell the transport
        connection.terminate()
    if transport is not None and getattr(transport, "_sock", None) is not None:
        transport._sock.close()
        transport._sock = None
    # The pool must not close it once more, on the wrong loop.
    record.dbapi_connection = None
