"""psycopg2's connections and cursors that tell what they do."""

from __future__ import annotations

from typing import Any

from psycopg2 import extensions

from pytest_slipstream.accounting.teller import SILENT, told_as
from pytest_slipstream.databases.routing.drivers.classes import Classes


class ToldConnection(extensions.connection):  # type: ignore[misc]
    """The application's connection."""

    slipstream_teller = SILENT

    def cursor(
        self, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        wanted = cursor_factory or self.cursor_factory or extensions.cursor
        return super().cursor(name, CLASSES.cursor(wanted), *args, **kwargs)

    def commit(self) -> None:
        __tracebackhide__ = True
        with self.slipstream_teller.telling("commits"):
            super().commit()

    def rollback(self) -> None:
        __tracebackhide__ = True
        with self.slipstream_teller.telling("rollbacks"):
            super().rollback()


class ToldCursor(extensions.cursor):  # type: ignore[misc]
    """A cursor of the application's connection."""

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        connection = self.connection
        with _teller(connection).telling(*told_as(query, connection)):
            return super().execute(query, *args, **kwargs)

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        connection = self.connection
        with _teller(connection).telling(*told_as(query, connection)):
            return super().executemany(query, *args, **kwargs)

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _teller(self.connection).telling("queries"):
            return super().callproc(*args, **kwargs)


def _teller(connection: Any) -> Any:
    return getattr(connection, "slipstream_teller", SILENT)


CLASSES = Classes(ToldConnection, ToldCursor)
