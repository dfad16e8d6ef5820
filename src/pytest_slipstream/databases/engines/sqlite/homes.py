"""Where one slot lives: in a file behind a symbolic link, or in this process's memory.

The invariant: `watcher` is slipstream's own connection to what the slot's address leads to now, in
autocommit mode and never waiting for a lock; or `lost` says why it is not.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Protocol

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.sqlite import leftovers, pages
from pytest_slipstream.databases.engines.sqlite.layers import Layer
from pytest_slipstream.databases.engines.sqlite.places import Places
from pytest_slipstream.errors import IsolationError, ServerError


class Home(Protocol):
    """A place for a slot."""

    watcher: sqlite3.Connection
    names: tuple[str, ...]
    """How ``PRAGMA database_list`` calls it."""

    def lost(self) -> str | None:
        """Why the address no longer leads to the watched database, or None."""

    def reset(self, layer: Layer) -> bool:
        """Make the database equal to ``layer``; False when somebody still reads what it was.

        Raises:
            BusyError: Somebody holds a lock on it.
            OSError: It cannot be written, and is damaged.
        """

    def renew(self, source: sqlite3.Connection) -> None:
        """Put a new copy of ``source`` under the address."""

    def set_aside(self, path: Path) -> None:
        """Write the database, as it stands committed, to ``path``."""

    def close(self) -> None:
        """Remove the database."""


class FileHome:
    """A file of the name ``<slot>.<number>.db``, with the address as a link to it.

    Each renewal has a name of its own, so that what connections to an earlier one still do to
    their journals cannot reach it.
    """

    watcher: sqlite3.Connection

    def __init__(self, slot: str, places: Places, source: sqlite3.Connection) -> None:
        self._slot = slot
        self._places = places
        self._link = places.link(slot)
        self._number = 0
        self.names: tuple[str, ...] = ()
        self._move_in(source)

    def lost(self) -> str | None:
        try:
            found = self._link.stat()
        except OSError:
            return "its file was removed"
        if (found.st_dev, found.st_ino) != self._identity:
            return "its file was replaced by another"
        return None

    def reset(self, layer: Layer) -> bool:
        if layer.image.overwrite(self._opened.fileno(), self.watcher):
            return True
        pages.copy(layer.connection, self.watcher)
        return pages.checkpoint(self.watcher)

    def renew(self, source: sqlite3.Connection) -> None:
        self._leave()
        self._move_in(source)

    def set_aside(self, path: Path) -> None:
        try:
            pages.write_file(self.watcher, path)
        except pages.BusyError:
            # Somebody whom nobody can stop is writing: what is committed can be read from the
            # file together with its journal. Reading it drops this process's locks on it.
            pages.remove(path)
            pairs = zip(
                (self._file, *pages.journals(self._file)),
                (path, *pages.journals(path)),
                strict=True,
            )
            for file, target in pairs:
                if file.exists():
                    target.write_bytes(file.read_bytes())

    def close(self) -> None:
        # The others go by the hundred, and looking for connections takes a tenth of a second.
        if naming.is_home(self._slot):
            leftovers.close_all(self.names, (self.watcher,))
        self._remove()
        self._link.unlink(missing_ok=True)

    def _leave(self) -> None:
        leftovers.close_all(self.names, (self.watcher,))
        self._remove()

    def _remove(self) -> None:
        self.watcher.close()
        self._opened.close()
        pages.remove(self._file)

    def _move_in(self, source: sqlite3.Connection) -> None:
        self._places.restore()
        self._number += 1
        size = pages.size_bytes(source)
        problem: Exception | None = None
        for home in self._places.homes(size):
            file = home / f"{self._slot}.{self._number}.db"
            try:
                self.watcher = _watch(str(file), source)
                self._opened = file.open("r+b", buffering=0)
                break
            except (sqlite3.Error, OSError) as error:
                problem = error
                pages.remove(file)
        else:
            raise ServerError(
                f"the slot {self._slot} ({size} bytes) cannot be written to {file}: {problem}",
                hint="make room there, or name another directory with cache_dir",
            ) from problem
        self._file = file
        found = file.stat()
        self._identity = (found.st_dev, found.st_ino)
        self.names = (os.path.realpath(file), str(file), str(self._link))
        self._point_link()

    def _point_link(self) -> None:
        # A test may have put a file of its own there, with its journals.
        for journal in pages.journals(self._link):
            journal.unlink(missing_ok=True)
        new = self._link.with_suffix(".link")
        new.unlink(missing_ok=True)
        new.symlink_to(self._file)
        new.replace(self._link)


class MemoryHome:
    """A database of SQLite's ``memdb``: every connection of this process to its URI shares it."""

    def __init__(self, slot: str, uri: str, source: sqlite3.Connection) -> None:
        self._slot = slot
        self.names: tuple[str, ...] = (f"/{slot}",)
        self.watcher = _watch(uri, source)

    def lost(self) -> str | None:
        return None

    def reset(self, layer: Layer) -> bool:
        pages.copy(layer.connection, self.watcher)
        return True

    def renew(self, source: sqlite3.Connection) -> None:
        leftovers.close_all(self.names, (self.watcher,))
        try:
            pages.copy(source, self.watcher)
        except pages.BusyError:
            raise IsolationError(
                f"the slot {self._slot} in memory cannot be made anew: a connection of another "
                "thread keeps a lock on it, and a database in memory cannot be exchanged",
                hint="close the connection, or set memory = false for this database",
            ) from None

    def set_aside(self, path: Path) -> None:
        try:
            pages.write_file(self.watcher, path)
        except pages.BusyError:
            raise IsolationError(
                f"the slot {self._slot} in memory cannot be kept as {path}: a connection of "
                "another thread is writing to it"
            ) from None

    def close(self) -> None:
        self.watcher.close()


def _watch(database: str, source: sqlite3.Connection) -> sqlite3.Connection:
    """Open a new database as a copy of ``source``."""
    in_memory = database.startswith("file:")
    watcher = sqlite3.Connection(
        database, timeout=0, isolation_level=None, check_same_thread=False, uri=in_memory
    )
    try:
        # Losing the slot with the power is no loss, and a copy that fails is never looked at again.
        watcher.execute("PRAGMA synchronous = OFF")
        # For a file, a journal mode of OFF would also make SQLite leave alone the journal of a
        # killed writer, which the next connection would play back over the cleaned slot.
        watcher.execute(f"PRAGMA journal_mode = {'OFF' if in_memory else 'MEMORY'}")
        pages.copy(source, watcher)
    except (sqlite3.Error, pages.BusyError):
        watcher.close()
        raise
    return watcher
