"""Operations on SQLite that are told apart by the statements that they would send.

The invariant: what `sqlite` cannot do again for certain runs as it is written.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Hashable

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.memoising import sqlite
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError

KEPT = 16
"""How many operations are remembered, each with its images."""


Learn = Callable[[sqlite3.Connection], None]
"""Keeps what an operation came to, after it has run as it is written over a connection."""


class SqliteResults:
    """What operations came to."""

    def __init__(self, ledger: Ledger, checking: Checking) -> None:
        self._ledger = ledger
        self._checking = checking
        self._of: OrderedDict[Hashable, sqlite.Results] = OrderedDict()

    def begin(
        self, connection: sqlite3.Connection, label: str, operation: Hashable
    ) -> Learn | None:
        """Restore what an operation came to, if that is known.

        Returns:
            None where it is done; otherwise what is called when it has run as it is written.

        Raises:
            UnknownResultError: It cannot be known; nothing was done.
        """
        if operation not in self._of:  # most are done once in a run, and pay nothing
            self._of[operation] = {}
            while len(self._of) > KEPT:
                self._of.popitem(last=False)
            return lambda connection: None
        results = self._of[operation]
        copy = sqlite.copied(connection) if self._checking.is_due(label) else None
        started = clock.seconds()
        before = sqlite.redo(connection, operation, results)
        restoring_s = clock.seconds() - started
        if before is not None:
            return lambda now: sqlite.record(now, operation, before, results)
        if copy is None:
            return None
        restored = _content(connection)
        pages.copy(copy, connection)

        def compare(now: sqlite3.Connection) -> None:
            self._ledger.replaced(label, restoring_s)
            self._checking.compare(label, _content(now), restored)

        return compare


def plain(connection: object) -> sqlite3.Connection:
    """The connection, if it is one of the standard library's.

    Raises:
        UnknownResultError: It is not.
    """
    if type(connection) is not sqlite3.Connection:
        raise UnknownResultError(f"a connection of the class {type(connection).__qualname__}")
    return connection


def _content(connection: sqlite3.Connection) -> dict[str, str]:
    factory, connection.row_factory = connection.row_factory, None
    try:
        return content.digest(connection)
    finally:
        connection.row_factory = factory
