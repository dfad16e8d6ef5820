"""What is known of a metadata's operations in one dialect.

The invariant: results are of the metadata as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.schema import sort_tables_and_constraints

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.on_mysql import Tablesets
from pytest_slipstream.databases.memoising.postgresql.parking import Parking
from pytest_slipstream.databases.memoising.sqlalchemy.snapshot import Snapshot
from pytest_slipstream.databases.memoising.sqlite import Results

try:
    from sqlalchemy.engine.mock import MockConnection
except ImportError:  # SQLAlchemy 1.3
    MockConnection = None  # type: ignore[assignment,misc]

_FRUITLESS = 5
"""After so many copies of a metadata that did not last until their next use, it is left alone."""


class Known:
    """A metadata in one dialect: a copy of it, and what operations with it came to.

    Args:
        metadata: The metadata.
        create_all: SQLAlchemy's own.
    """

    def __init__(self, metadata: MetaData, create_all: Callable[..., None]) -> None:
        self.results: Results = {}
        self.parkings: dict[Hashable, Parking] = {}
        self.put_off: dict[Hashable, Tablesets] = {}
        self._metadata = metadata
        self._create_all = create_all
        self._statements: list[str] | None = None
        self._snapshot: Snapshot | None = None
        self._problem: UnknownResultError | None = None
        self._copies = 0
        self._has_cycle = False

    def prepare(self, dialect: Any, name: str, tables: tuple[Table, ...] | None) -> None:
        """Forget the results if the metadata is another than it was.

        Args:
            dialect: Of the engine.
            name: The method.
            tables: What it is asked to be for.

        Raises:
            UnknownResultError: The call's result depends on something that cannot be compared.
        """
        if self._problem is not None:
            raise UnknownResultError(*self._problem.args)
        if not self._holds(dialect, name):
            self._copy(dialect)
        if self._has_cycle and name == "drop_all":
            raise UnknownResultError("tables whose foreign keys form a cycle")
        if tables is not None and not set(tables) <= set(self._metadata.tables.values()):
            raise UnknownResultError("tables of another metadata")

    def _holds(self, dialect: Any, name: str) -> bool:
        if self._snapshot is None:
            return False
        if name == "drop_all" and dialect.name in ("sqlite", "mysql", "mariadb"):
            return self._snapshot.holds_for_names()
        if self._snapshot.holds(dialect):
            self._copies = 0
            return True
        return False

    def _copy(self, dialect: Any) -> None:
        self._copies += 1
        tables = list(self._metadata.tables.values())
        try:
            if self._copies > _FRUITLESS:
                raise UnknownResultError("a metadata that is another at each use")
            if any(table.schema for table in tables):
                raise UnknownResultError("a table in a schema of its own")
            self._snapshot = Snapshot(self._metadata, dialect)
            self._forget_unless_same(dialect)
        except UnknownResultError as problem:  # for good: to look anew each time is what costs
            self._problem = problem
            raise
        in_order = sort_tables_and_constraints(tables)  # type: ignore[no-untyped-call]
        self._has_cycle = any(keys for table, keys in in_order if table is None)

    def _forget_unless_same(self, dialect: Any) -> None:
        """SQLAlchemy notes things in its own objects, which does not change what is sent."""
        statements: list[str] = []

        def note(statement: Any, *values: Any, **options: Any) -> None:
            statements.append(str(statement.compile(dialect=dialect)))

        if MockConnection is not None:
            self._create_all(self._metadata, MockConnection(dialect, note), checkfirst=False)
        if self._statements is None or MockConnection is None or statements != self._statements:
            self.results.clear()
            self.parkings.clear()
            self.put_off.clear()
        self._statements = statements
