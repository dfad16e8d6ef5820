"""The way from SQLAlchemy's connection to the `sqlite3.Connection` beneath it.

The invariant: work on a connection is done where its driver does all its work: aiosqlite's in the
connection's own thread.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy.engine import Connection

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import OnDriver


def on_driver(connection: Connection) -> OnDriver:
    """The way to the driver's connection.

    Raises:
        UnknownResultError: It is not plain sqlite3 or aiosqlite.
    """
    proxy: Any = connection.connection
    found = getattr(proxy, "dbapi_connection", None) or proxy.connection
    if type(found) is sqlite3.Connection:
        return lambda work: work(found)
    inner: Any = getattr(found, "_connection", None)
    if type(inner).__module__ == "aiosqlite.core" and type(inner._conn) is sqlite3.Connection:
        from sqlalchemy.util import await_only

        return lambda work: await_only(inner._execute(work, inner._conn))
    raise UnknownResultError(f"a connection of the class {type(found).__qualname__}")
