"""Operations on SQLite that are told apart by the statements that they would send.

The invariant: what `sqlite` cannot do again for certain runs as it is written.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Hashable

import msgspec

from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.memoising import sqlite
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError

KEPT = 16
"""How many operations are remembered, each with its images."""


class Begun(msgspec.Struct, frozen=True):
    """An operation: is it replaced, and otherwise what there was before it, if that is to be
    learnt from. ``restored`` is what the slow way is to be held to."""

    is_replaced: bool = False
    before: sqlite.Before | None = None
    restored: dict[str, str] | None = None

    @property
    def runs(self) -> bool:
        """Whether it is to be done as it is written now."""
        return not self.is_replaced or self.restored is not None


class SqliteResults:
    """What operations came to."""

    def __init__(self, ledger: Ledger, checking: Checking) -> None:
        self._ledger = ledger
        self._checking = checking
        self._of: OrderedDict[Hashable, sqlite.Results] = OrderedDict()

    def begin(self, connection: sqlite3.Connection, label: str, operation: Hashable) -> Begun:
        """Restore what an operation came to, if that is known.

        Raises:
            UnknownResultError: It cannot be known; nothing was done.
        """
        if operation not in self._of:  # most are done once in a run, and pay nothing
            self._of[operation] = {}
            while len(self._of) > KEPT:
                self._of.popitem(last=False)
            return Begun()
        copy = sqlite.copied(connection) if self._checking.is_due(label) else None
        before = sqlite.redo(connection, operation, self._of[operation])
        if before is not None or copy is None:
            return Begun(is_replaced=before is None, before=before)
        restored = _content(connection)
        pages.copy(copy, connection)
        return Begun(is_replaced=True, restored=restored)

    def end(
        self,
        connection: sqlite3.Connection,
        label: str,
        operation: Hashable,
        begun: Begun,
        seconds: float,
    ) -> None:
        """Count it, and learn from it where it ran.

        Raises:
            IsolationError: It came to something else than would have been restored; in an audit.
        """
        if begun.is_replaced:
            self._ledger.replaced(label, seconds)
        else:
            self._ledger.made(label, seconds)
        if begun.before is not None and operation in self._of:
            sqlite.record(connection, operation, begun.before, self._of[operation])
        if begun.restored is not None:
            self._checking.compare(label, _content(connection), begun.restored)


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
