"""What ``strict = true`` adds to each connection of the application.

SQLite enforces foreign keys, and takes "no_such_column" for a column and not for a text, only on
connections that ask for it; and before 3.47 a trigger's message cannot hold the refused value, so
it is put there where the error leaves the connection.

The invariant: a connection is as its caller asked for it, apart from these three things.
"""

from __future__ import annotations

import inspect
import sqlite3
import threading
from typing import Any

from pytest_slipstream.databases.engines.sqlite.rules import RealEngine
from pytest_slipstream.databases.engines.sqlite.strictness import (
    COMPUTED_MESSAGES_SINCE,
    NO_VALUE,
    SHOWN_CHARACTERS,
)


class _Explain:
    """Puts the value into the message of an error that passes; costs a tenth of a microsecond."""

    def __init__(self, refused: threading.local) -> None:
        self._refused = refused

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.IntegrityError) and str(error).endswith(NO_VALUE):
            value = _shown(getattr(self._refused, "value", None))
            error.args = (str(error).removesuffix(NO_VALUE) + value[:SHOWN_CHARACTERS],)


def _shown(value: Any) -> str:
    """As SQL's function `quote` shows it."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    return "NULL" if value is None else repr(value)


class StrictConnections:
    """The connections to one strict database.

    Args:
        real: The engine that SQLite stands for.
    """

    def __init__(self, real: RealEngine | None) -> None:
        self._real = real
        self._refused = threading.local()
        self._explains = sqlite3.sqlite_version_info < COMPUTED_MESSAGES_SINCE
        self._classes: dict[type, type] = {}

    def opened(self, connection: sqlite3.Connection) -> None:
        """Prepare a new connection."""
        transaction_control = getattr(connection, "autocommit", None)
        if transaction_control is False:  # it is in a transaction, where this has no effect
            connection.autocommit = True  # type: ignore[attr-defined]
        cursor = sqlite3.Cursor(connection)  # whatever the connection's own factories are
        cursor.execute("PRAGMA foreign_keys = ON")
        if transaction_control is False:
            connection.autocommit = False  # type: ignore[attr-defined]
        if self._real != "mysql" and hasattr(connection, "setconfig"):  # Python 3.12
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DQS_DML, False)  # type: ignore[attr-defined]
        # Otherwise a trigger must not call it.
        if self._explains and cursor.execute("PRAGMA trusted_schema").fetchone() == (1,):
            connection.create_function("likely", 1, self._remember, deterministic=True)

    def _remember(self, value: Any) -> Any:
        self._refused.value = value
        return value

    def connection_class(self, wanted: Any) -> Any:
        """The class that makes a connection, of the class that the application asked for."""
        if not self._explains or not inspect.isclass(wanted):
            return wanted
        if wanted not in self._classes:
            self._classes[wanted] = self._explaining(wanted)
        return self._classes[wanted]

    def _explaining(self, wanted: type) -> type:
        explain = _Explain(self._refused)

        class Explaining:
            def execute(self, *args: Any) -> Any:
                with explain:
                    return super().execute(*args)  # type: ignore[misc]

            def executemany(self, *args: Any) -> Any:
                with explain:
                    return super().executemany(*args)  # type: ignore[misc]

            def executescript(self, *args: Any) -> Any:
                with explain:
                    return super().executescript(*args)  # type: ignore[misc]

        class Cursor(Explaining, sqlite3.Cursor):
            pass

        class Connection(Explaining, wanted):  # type: ignore[misc]
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

        for name in ("__name__", "__qualname__", "__module__"):
            setattr(Connection, name, getattr(wanted, name))
        return Connection
