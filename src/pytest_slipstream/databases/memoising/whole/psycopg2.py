"""psycopg2's connections, whose cursors ask before they send a statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg2 import extensions

from pytest_slipstream.databases.routing.drivers.classes import Classes


def classes(instead_of: Callable[..., Any]) -> Classes:
    """The classes to mix in.

    Args:
        instead_of: What to send, of a connection, a statement, its parameters and a way to ask.
    """

    class Asking(extensions.cursor):  # type: ignore[misc]
        def execute(self, query: Any, vars: Any = None) -> Any:
            __tracebackhide__ = True
            instead = instead_of(self.connection, query, vars, self._ask)
            if instead is None:
                return super().execute(query, vars)
            try:
                result = super().execute(instead.text)
            except Exception:  # noqa: BLE001 - the statement itself will say it
                instead.failed()
                return super().execute(query, vars)
            instead.done()
            return result

        def _ask(self, question: str) -> Any:
            cursor = extensions.cursor(self.connection)
            try:
                cursor.execute(question)
                return cursor.fetchone()
            finally:
                cursor.close()

    class Connection(extensions.connection):  # type: ignore[misc]
        def cursor(
            self, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any
        ) -> Any:
            wanted = cursor_factory or self.cursor_factory or extensions.cursor
            return super().cursor(name, made.cursor(wanted), *args, **kwargs)

    made = Classes(Connection, Asking)
    return made
