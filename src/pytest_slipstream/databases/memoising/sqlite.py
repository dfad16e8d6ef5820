"""What a schema operation does to a SQLite database, and doing it again by a copy of pages.

The invariant: a result is used only on a database that is, to the operation, what it was made on.
An operation on a schema asks for names, and makes or drops objects. Rows do not matter to it where
it did nothing, nor where it left no table behind; everywhere else there must be none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, MutableMapping
from typing import Any

import msgspec

from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.memoising.ledger import UnknownResultError

_OF_FILE = (
    "page_size",
    "auto_vacuum",
    "encoding",
    "journal_mode",
    "user_version",
    "application_id",
)
_OF_CONNECTION = ("foreign_keys", "writable_schema")
_PRAGMAS = tuple(f"PRAGMA main.{name}" for name in (*_OF_FILE, *_OF_CONNECTION))
_END = "\1"
"""Between two names or statements. It is written into the query, where it may not be 0, which could
be in none of them, since to bind a value for each row takes twice as long."""

# In few texts, which is many times faster than rows, and compares faster, too.
_OBJECTS = (
    "SELECT count(*), "
    + ", ".join(
        f"group_concat({part}, '{_END}')"
        for part in ("type", "name", "tbl_name", "coalesce(sql, '')")
    )
    + " FROM main.sqlite_master"
)
_NONE = (0, None, None, None, None)
_OWN_TABLE = "sqlite_sequence"


class State(msgspec.Struct, frozen=True):
    """Everything of a database that an operation on its schema can see, save for rows.

    ``objects``: how many there are, and the kinds, names, tables and statements of all.
    """

    objects: tuple[Any, ...]
    pragmas: tuple[object, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        _, kinds, names, *_ = self.objects
        pairs = zip((kinds or "").split(_END), (names or "").split(_END), strict=True)
        return tuple(name for kind, name in pairs if kind == "table")


class Before(msgspec.Struct, frozen=True):
    """A database before an operation runs as it is written, for `record`."""

    state: State
    schema_version: int
    total_changes: int
    is_blank: bool


class Result(msgspec.Struct, frozen=True):
    """What an operation came to. ``image`` is None where it did nothing."""

    image: sqlite3.Connection | None = None
    needs_blank: bool = False


Results = MutableMapping[tuple[Hashable, State], Result]


def redo(connection: sqlite3.Connection, operation: Hashable, results: Results) -> Before | None:
    """Do what the operation came to on such a database, if that is known.

    Args:
        connection: To the database.
        operation: Everything that its result depends on beside the database.
        results: What is known.

    Returns:
        None where it is done; otherwise what `record` needs.

    Raises:
        UnknownResultError: Nobody can know what it comes to in the midst of a transaction, or
            beside temporary objects.
    """
    state = state_of(connection)
    result = results.get((operation, state))
    if result is not None and result.needs_blank and not _is_blank(connection, state):
        raise UnknownResultError("tables with rows")
    if result is not None and _restore(result, connection):
        return None
    return Before(state, *_counters(connection), _is_blank(connection, state))


def record(
    connection: sqlite3.Connection, operation: Hashable, before: Before, results: Results
) -> None:
    """Keep what the operation, which has just run as it is written, came to."""
    try:
        state = state_of(connection)
    except UnknownResultError:
        return
    if _counters(connection) == (before.schema_version, before.total_changes):
        results[operation, before.state] = Result()
        return
    tables = set(state.tables) - {_OWN_TABLE}
    is_known = state.pragmas == before.state.pragmas and (before.is_blank or not tables)
    if is_known and _is_blank(connection, state):
        image = copied(connection)
        if image is not None:
            if state.objects == _NONE:  # nothing but free pages, which would be copied, too
                image.execute("VACUUM")
            results[operation, before.state] = Result(image, needs_blank=bool(tables))


class _Image(sqlite3.Connection):
    """A copy in memory, which ends with the last reference to it: results come and go."""

    def __del__(self) -> None:
        self.close()


def copied(connection: sqlite3.Connection) -> sqlite3.Connection | None:
    """A copy of the database in memory; None while somebody writes it."""
    image = _Image(":memory:", isolation_level=None, check_same_thread=False)
    for name in ("page_size", "foreign_keys"):
        image.execute(f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]}")
    if _restore(Result(connection), image):
        return image
    image.close()
    return None


def _restore(result: Result, connection: sqlite3.Connection) -> bool:
    if result.image is None:
        return True
    try:
        pages.copy(result.image, connection)
    except (sqlite3.Error, pages.BusyError):  # a cursor or another connection reads: as written
        return False
    return True


def state_of(connection: sqlite3.Connection, *, may_be_inside: bool = False) -> State:
    """What is compared before an operation.

    Args:
        connection: To the database.
        may_be_inside: Whether it may be in a transaction.

    Raises:
        UnknownResultError: A transaction is open that could be rolled back, there are temporary
            objects, or one's name or statement has a character that tells them apart.
    """
    if connection.in_transaction and not may_be_inside:
        raise UnknownResultError("a transaction that is open")
    cursor = connection.cursor()
    cursor.row_factory = None
    if _has_temporary(cursor):
        raise UnknownResultError("a temporary table")
    objects: tuple[Any, ...] = _NONE
    if cursor.execute("PRAGMA main.page_count").fetchone()[0]:  # else nobody has written it yet
        objects = cursor.execute(_OBJECTS).fetchone()
    count, *texts = objects
    if any(text.count(_END) >= count for text in texts if text):
        raise UnknownResultError("a name or a statement with a control character")
    return State(
        objects=objects,
        pragmas=tuple([cursor.execute(pragma).fetchone() for pragma in _PRAGMAS]),
    )


def _has_temporary(cursor: sqlite3.Cursor) -> bool:
    """Whether there are temporary objects. To ask in a database that has never had any would make
    the place for them, which takes longer than all the other questions."""
    places = [name for _, name, _ in cursor.execute("PRAGMA database_list")]
    found = "temp" in places and cursor.execute("SELECT 1 FROM temp.sqlite_master LIMIT 1")
    return bool(found and found.fetchone())


def _counters(connection: sqlite3.Connection) -> tuple[int, int]:
    """What tells that nothing was done: SQLite's number of the schema, the driver's of rows."""
    return _rows(connection, "PRAGMA main.schema_version")[0][0], connection.total_changes


def _is_blank(connection: sqlite3.Connection, state: State) -> bool:
    """Whether no table has a row."""
    tables = map(content.quoted, state.tables)
    return not any(_rows(connection, f"SELECT 1 FROM main.{table} LIMIT 1") for table in tables)


def _rows(connection: sqlite3.Connection, query: str) -> tuple[tuple[Any, ...], ...]:
    """Plain rows, whatever the application has set as its factory."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return tuple(cursor.execute(query))
