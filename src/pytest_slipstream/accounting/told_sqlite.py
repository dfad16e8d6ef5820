"""sqlite3's connections and cursors that tell what they do."""

from __future__ import annotations

import sqlite3
from typing import Any

from pytest_slipstream.accounting.teller import SILENT, told_as
from pytest_slipstream.databases.routing.drivers.classes import Classes


class ToldConnection(sqlite3.Connection):
    """The application's connection."""

    slipstream_teller = SILENT

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        return super().cursor(CLASSES.cursor(factory))

    def execute(self, sql: Any, *args: Any) -> Any:
        __tracebackhide__ = True
        with self.slipstream_teller.telling(*told_as(sql)):
            return super().execute(sql, *args)

    def executemany(self, sql: Any, *args: Any) -> Any:
        __tracebackhide__ = True
        with self.slipstream_teller.telling(*told_as(sql)):
            return super().executemany(sql, *args)

    def executescript(self, sql: Any) -> Any:
        __tracebackhide__ = True
        with self.slipstream_teller.telling(*told_as(sql)):
            return super().executescript(sql)

    def commit(self) -> None:
        __tracebackhide__ = True
        with self.slipstream_teller.telling("commits"):
            super().commit()

    def rollback(self) -> None:
        __tracebackhide__ = True
        with self.slipstream_teller.telling("rollbacks"):
            super().rollback()

    def __exit__(self, error: Any, value: Any, trace: Any) -> Any:
        __tracebackhide__ = True
        with self.slipstream_teller.telling("commits" if error is None else "rollbacks"):
            return super().__exit__(error, value, trace)


class ToldCursor(sqlite3.Cursor):
    """A cursor of the application's connection."""

    def execute(self, sql: Any, *args: Any) -> Any:
        __tracebackhide__ = True
        with _teller(self).telling(*told_as(sql)):
            return super().execute(sql, *args)

    def executemany(self, sql: Any, *args: Any) -> Any:
        __tracebackhide__ = True
        with _teller(self).telling(*told_as(sql)):
            return super().executemany(sql, *args)

    def executescript(self, sql: Any) -> Any:
        __tracebackhide__ = True
        with _teller(self).telling(*told_as(sql)):
            return super().executescript(sql)


def _teller(cursor: Any) -> Any:
    return getattr(cursor.connection, "slipstream_teller", SILENT)


CLASSES = Classes(ToldConnection, ToldCursor)
