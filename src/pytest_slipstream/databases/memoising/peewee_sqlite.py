"""Peewee's ``create_tables`` and ``drop_tables`` on SQLite, over the connection of this thread.

The invariant: what `sqlite` cannot do again for certain runs as it is written.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import peewee as typed_peewee

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.memoising import sqlite
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError

peewee: Any = typed_peewee  # the types leave out what it makes its statements with
KEPT = 16
"""How many sets of models are remembered, each with its images."""


class OnSqlite:
    """What is known of operations on SQLite."""

    def __init__(self, ledger: Ledger, checking: Checking) -> None:
        self._ledger = ledger
        self._checking = checking
        self._results: OrderedDict[Hashable, sqlite.Results] = OrderedDict()

    def run(
        self, label: str, database: Any, operation: Hashable, as_written: Callable[[], None]
    ) -> None:
        """Restore what an operation comes to, or let it run and learn from it.

        Args:
            label: What the summary calls it.
            database: Peewee's.
            operation: All that its result depends on beside the database.
            as_written: Does it.

        Raises:
            UnknownResultError: That is not certain; nothing was done.
        """
        began_s = clock.seconds()
        results = self._results.get(operation)
        if results is None:  # most are done once in a run, and pay nothing
            as_written()
            self._ledger.made(label, clock.seconds() - began_s)
            self._results[operation] = {}
            while len(self._results) > KEPT:
                self._results.popitem(last=False)
            return
        connection = _connection(database)
        before_it = sqlite.copied(connection) if self._checking.is_due(label) else None
        before = sqlite.redo(connection, operation, results)
        if before is not None:
            as_written()
            self._ledger.made(label, clock.seconds() - began_s)
            sqlite.record(connection, operation, before, results)
            return
        self._ledger.replaced(label, clock.seconds() - began_s)
        if before_it is not None:
            restored = content.digest(connection)
            pages.copy(before_it, connection)
            as_written()
            self._checking.compare(label, content.digest(connection), restored)


def _connection(database: Any) -> sqlite3.Connection:
    with peewee.__exception_wrapper__:
        found = database.cursor().connection
    if type(found) is not sqlite3.Connection:
        raise UnknownResultError(f"a connection of the class {type(found).__qualname__}")
    return found


def refuse_cycles(models: list[Any]) -> None:
    """Each table must be dropped after those that reference it.

    Raises:
        UnknownResultError: Foreign keys form a cycle, so that rows decide what can be dropped.
    """
    seen: set[Any] = set()
    for model in peewee.sort_models(models):
        seen.add(model)
        references = {field.rel_model for field in model._meta.refs}
        if not references & set(models) <= seen:
            raise UnknownResultError("tables whose foreign keys form a cycle")
