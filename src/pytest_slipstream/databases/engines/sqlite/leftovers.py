"""Finds and ends what a test left open: transactions, half-read cursors, connections.

SQLite knows who holds a lock only as "somebody", so this process's connections are found through
the garbage collector, and only when a lock is in the way. The invariant: of the connections that do
not concern the slot, none is touched; of those that do, none more than is needed to free the lock.
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing

from pytest_slipstream.databases.engines.protocol import Leftover


def end(
    files: Collection[str], own: Collection[sqlite3.Connection], free: Callable[[], bool]
) -> tuple[Leftover, ...]:
    """End what stands in the way, the mildest way first.

    Args:
        files: The slot, by the names under which ``PRAGMA database_list`` may know it.
        own: slipstream's own connections.
        free: Whether the lock can be had now; asked after each step.

    Returns:
        What was ended; all that could be done was done, also if ``free`` still says no.
    """
    dead = _release_dead_cursors()
    if dead and free():
        return (dead,)
    connections = [each for each in _connections(own) if _is_on(each, files)]
    ended = []
    for step in (_roll_back, _close_cursors, _close):
        for connection in connections:
            found = step(connection)
            if found is None:
                continue
            now_free = free()
            if step is _roll_back or now_free:
                ended.append(found)
            if now_free and step is not _roll_back:
                return tuple(ended)
        if free():
            break
    return tuple(ended)


def in_transaction(
    files: Collection[str], own: Collection[sqlite3.Connection]
) -> dict[int, sqlite3.Connection]:
    """This thread's connections to the slot that are in a transaction, by their identity."""
    return {
        id(each): each
        for each in _connections(own)
        if _is_in_transaction(each) and _is_on(each, files)
    }


def roll_back(connections: Iterable[sqlite3.Connection]) -> tuple[Leftover, ...]:
    """End the transactions of these connections."""
    return tuple(filter(None, map(_roll_back, connections)))


def close_all(files: Collection[str], own: Collection[sqlite3.Connection]) -> None:
    """Close this thread's connections to a database that is about to be replaced."""
    _release_dead_cursors()
    for connection in _connections(own):
        if _is_on(connection, files):
            _close_cursors(connection)
            _close(connection)


def elsewhere(own: Collection[sqlite3.Connection]) -> int:
    """How many connections are in a transaction and belong to other threads, of any database."""
    return sum(
        _is_in_transaction(connection) and _files(connection) is None
        for connection in _connections(own)
    )


def _connections(own: Collection[sqlite3.Connection]) -> list[sqlite3.Connection]:
    # By type, not isinstance: that would run the code of proxies that pretend to be other objects.
    return [
        each
        for each in gc.get_objects()
        if issubclass(type(each), sqlite3.Connection) and not any(each is mine for mine in own)
    ]


def _cursors(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    for each in gc.get_objects():
        if issubclass(type(each), sqlite3.Cursor) and each.connection is connection:
            yield each


def _release_dead_cursors() -> Leftover | None:
    """Make cursors of closed connections let go of their statements.

    SQLite keeps a closed connection, with its transaction, for as long as it has a statement, and
    a cursor keeps its statement for as long as it lives, and cannot be closed after its connection.
    A new connection makes it drop the statement; as that is closed too, all stays as it was for
    whoever still has the cursor.
    """
    cursors = [
        each
        for each in gc.get_objects()
        if issubclass(type(each), sqlite3.Cursor) and _is_dead(each)
    ]
    with closing(sqlite3.connect(":memory:")) as other:
        for cursor in cursors:
            sqlite3.Cursor.__init__(cursor, other)
    if not cursors:
        return None
    return Leftover(
        kind="connection",
        detail="a sqlite3.Connection was closed while a cursor had a statement that was not "
        "finished, and so kept its lock; the statement was dropped",
    )


def _is_dead(cursor: sqlite3.Cursor) -> bool:
    try:
        cursor.connection.total_changes  # noqa: B018 - raises when it is closed
    except sqlite3.ProgrammingError as error:
        return "closed" in str(error)
    except AttributeError:  # never initialised
        return False
    return False


def _is_on(connection: sqlite3.Connection, files: Collection[str]) -> bool:
    found = _files(connection)
    return found is not None and any(file in files for file in found)


def _files(connection: sqlite3.Connection) -> list[str] | None:
    """The files of a connection; None if it is another thread's, closed or cannot be asked.

    A cursor is made directly, so that the connection's own factories do not matter.
    """
    try:
        rows = sqlite3.Cursor(connection).execute("PRAGMA database_list").fetchall()
    except sqlite3.Error:
        return None
    return [row[2].decode() if isinstance(row[2], bytes) else str(row[2]) for row in rows]


def _is_in_transaction(connection: sqlite3.Connection) -> bool:
    try:
        return connection.in_transaction
    except sqlite3.Error:
        return False


def _roll_back(connection: sqlite3.Connection) -> Leftover | None:
    if not _is_in_transaction(connection):
        return None
    changes = connection.total_changes
    sqlite3.Connection.rollback(connection)
    if connection.in_transaction:
        # With autocommit=True (Python 3.12 and later) `rollback` does nothing.
        sqlite3.Cursor(connection).execute("ROLLBACK")
    return Leftover(
        kind="transaction",
        detail=f"{_name(connection)} was left in a transaction, and rolled back; it had changed "
        f"{changes} row{'' if changes == 1 else 's'} since it was opened",
    )


def _close_cursors(connection: sqlite3.Connection) -> Leftover | None:
    cursors = list(_cursors(connection))
    for cursor in cursors:
        try:
            sqlite3.Cursor.close(cursor)
        except sqlite3.Error:
            continue
    if not cursors:
        return None
    return Leftover(
        kind="transaction",
        detail=f"{_name(connection)} had a cursor whose rows were not all fetched, and which kept "
        "a lock; its cursors were closed",
    )


def _close(connection: sqlite3.Connection) -> Leftover | None:
    try:
        sqlite3.Connection.close(connection)
    except sqlite3.Error:
        return None
    return Leftover(
        kind="connection",
        detail=f"{_name(connection)} kept a lock, and was closed",
    )


def _name(connection: sqlite3.Connection) -> str:
    kind = type(connection)
    return f"a {kind.__module__}.{kind.__qualname__}"
