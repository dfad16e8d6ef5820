"""Whole databases copied page by page, through SQLite's backup API.

The invariant: a copy takes SQLite's own locks and never waits for them; who holds one makes it
raise `BusyError`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6


class BusyError(Exception):
    """Another connection holds a lock that the copy needs."""


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Make ``target`` equal to ``source``, schema included.

    The target keeps its journal mode if that is WAL. Its schema cookie and change counter advance,
    so that other connections notice.

    Raises:
        BusyError: Somebody is reading or writing the target, or writing the source.
    """

    # Without this, `backup` would sleep and try again for as long as the lock is held.
    def stop(status: int, remaining: int, total: int) -> None:
        if status in (_SQLITE_BUSY, _SQLITE_LOCKED):
            raise BusyError

    source.backup(target, pages=-1, progress=stop)


@contextmanager
def locked(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the exclusive lock (in WAL mode: the one to write).

    Raises:
        BusyError: Another connection is in a transaction (in WAL mode: in one that wrote).
    """
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise BusyError from error
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log, if there is one; False when somebody still reads it."""
    busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def open_unchanging(path: Path) -> sqlite3.Connection:
    """A connection to a file that nobody writes any more; it takes no locks."""
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    return sqlite3.Connection(uri, uri=True, check_same_thread=False, isolation_level=None)


def write_file(source: sqlite3.Connection, path: Path, *, durable: bool = False) -> None:
    """Write ``source`` as a new file.

    Args:
        source: What to copy.
        path: Where; nothing may be there.
        durable: Whether it must survive a power failure.

    Raises:
        BusyError: Somebody is writing the source.
    """
    target = sqlite3.Connection(path, timeout=0, isolation_level=None)
    try:
        if not durable:
            target.execute("PRAGMA synchronous = OFF")
        copy(source, target)
    finally:
        target.close()


def size_bytes(connection: sqlite3.Connection) -> int:
    """How large the database is."""
    count: int = connection.execute("PRAGMA page_count").fetchone()[0]
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return count * size


def journals(path: Path) -> tuple[Path, ...]:
    """The files that SQLite may keep beside a database file."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("-journal", "-wal", "-shm"))


def remove(path: Path) -> None:
    """Remove a database file and what SQLite keeps beside it."""
    for file in (path, *journals(path)):
        file.unlink(missing_ok=True)
