"""A SQLite slot: pages copied back when, and only when, something was committed.

The invariant: when `SqliteSlot.clean` returns without ``cannot``, the slot equals the topmost of
its layers (or its template) page by page, the change counter and the schema cookie apart; and of
this thread's transactions that hold a lock on it, only those remain that were open when
`push_layer` was last called, in which the test wrote nothing, and beside which nothing was
committed.

Costs: two statements when nothing was committed; else one write of the whole file, whatever was
changed (in WAL mode and in memory: one copy of all pages by SQLite).
In WAL mode a transaction that has only read, and that sees what the slot equals anyway, cannot be
noticed from outside; it is ended by the first cleaning that it is in the way of.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address, Cleaning, Leftover
from pytest_slipstream.databases.engines.sqlite import content, leftovers, pages, subtraction
from pytest_slipstream.databases.engines.sqlite.homes import Home
from pytest_slipstream.databases.engines.sqlite.layers import Layer
from pytest_slipstream.databases.engines.sqlite.places import Places
from pytest_slipstream.errors import IsolationError

_PATIENCE_MS = 100
_SLOW_READER_S = 5.0
_NEVER = -1  # a data version that no database has: the slot differs from its topmost layer


class SqliteSlot:
    """A database made from the template; one running test owns it at a time.

    Args:
        name: The slot's name.
        address: Where the application finds it.
        home: The database itself, equal to the template.
        template: The template.
        places: Where its layers are written, and where kept databases are.
    """

    def __init__(
        self, name: str, address: Address, home: Home, template: Layer, places: Places
    ) -> None:
        self.name = name
        self.address = address
        self._home = home
        self._layers = [template]
        self._layers_made = 0
        self._borrows = False
        self.sessions_ended = 0
        self._places = places
        self._clean_version = _NEVER
        self._clean_schema = 0
        # The transactions that are wider fixtures' and stay: connections by identity, and how many
        # rows they had changed; what a test adds to one can only go with all of it.
        self._standing: dict[int, int] = {}
        self._note_clean()

    def clean(self) -> Cleaning:
        """Put back what changed since the last `clean`, `replace` or `push_layer`."""
        lost = self._home.lost()
        if lost is not None:
            return Cleaning(cannot=lost)
        ended: tuple[Leftover, ...] = ()
        try:
            if self._is_free():
                self._standing = {}
            else:
                ended = self._end_newer()
                if self._standing:
                    return Cleaning(leftovers=ended)
                ended += self._end_leftovers()
            if self._version() == self._clean_version:
                return Cleaning(leftovers=ended)
            ddl = self._ddl()
            if not self._home.reset(self._layers[-1]):
                ended += self._end_leftovers()
            self._note_clean()
        except pages.BusyError:
            return Cleaning(leftovers=ended, cannot=self._who_is_in_the_way())
        except sqlite3.Error as error:
            return Cleaning(leftovers=ended, cannot=f"SQLite said: {error}")
        except OSError as error:
            return Cleaning(leftovers=ended, cannot=f"its file cannot be written: {error}")
        return Cleaning(ddl=ddl, leftovers=ended, restored=True)

    def replace(self) -> None:
        """Make the slot anew from the template and its layers, under the same address.

        In the same file if that can be had: a connection of another thread, which nobody can
        close, would go on with the old one.
        """
        self._standing = {}
        if not self._put_back():
            self._home.renew(self._layers[-1].connection)
        self._note_clean()

    def _put_back(self) -> bool:
        if self._home.lost() is not None:
            return False
        try:
            if not self._is_free():
                self._end_leftovers()
            return self._home.reset(self._layers[-1])
        except (pages.BusyError, sqlite3.Error, OSError):
            return False

    def prepare(self) -> None:
        """Nothing: a copy made ahead would cost as much as the copy."""

    def touched(self) -> tuple[str, ...]:
        """Tables with committed writes since the slot was last clean, by comparing all of it."""
        try:
            if self._home.lost() is None and self._version() == self._clean_version:
                return ()
            return content.changed_tables(self._layers[-1].digest, self.digest())
        except sqlite3.Error as error:
            raise IsolationError(f"the slot {self.name} cannot be read: {error}") from error

    def push_layer(self) -> tuple[str, ...]:
        """Take what was committed since the slot was clean as a layer."""
        tables = self.touched()
        is_free = self._is_free()
        if not is_free:
            self._standing = {key: each.total_changes for key, each in self._open().items()}
        if not tables:
            if is_free:  # what was written and undone must not look like the next test's
                self.clean()
            return ()
        try:
            layer = self._make_layer(self._write)
        except pages.BusyError:
            raise IsolationError(
                f"what wider fixtures wrote to the slot {self.name} cannot be taken as a layer: "
                f"{self._who_is_in_the_way()}",
                hint="commit in the fixture before it yields",
            ) from None
        self._layers.append(layer)
        self._note_clean()
        return tables

    def pop_layer(self, depth: int = 0) -> Cleaning:
        """Remove the layer that has ``depth`` others above it, and put back what it held."""
        at = len(self._layers) - 1 - depth
        removed, below = self._layers[at], self._layers[at - 1]
        tables = content.changed_tables(below.digest, removed.digest)
        for above in range(at + 1, len(self._layers)):
            whole = self._layers[above]
            write = partial(subtraction.take_out, removed, below, whole)
            self._layers[above] = self._make_layer(write)
            whole.remove()
        del self._layers[at]
        removed.remove()
        self._clean_version = _NEVER
        found = self.clean()
        return Cleaning(
            tables=tables, ddl=found.ddl, leftovers=found.leftovers, cannot=found.cannot
        )

    @property
    def layers(self) -> list[Layer]:
        """What lies on the template."""
        return self._layers[1:]

    def lay(self, layers: Sequence[Layer]) -> None:
        """Reset to another slot's topmost layer from now on."""
        self._borrows = True
        self._layers[1:] = layers
        self._clean_version = _NEVER
        cannot = self.clean().cannot
        if cannot is not None:
            raise IsolationError(f"what wider fixtures wrote cannot reach {self.name}: {cannot}")

    def digest(self) -> dict[str, str]:
        """The whole content: each object and each table's rows to a digest."""
        path = self.address.path
        is_uri = path.startswith("file:")
        with closing(
            sqlite3.Connection(path, uri=is_uri, timeout=_SLOW_READER_S, isolation_level=None)
        ) as connection:
            return content.digest(connection)

    def keep(self, name: str) -> Address:
        """Set the database aside as a file, as it stands, and make the slot anew."""
        path = self._places.kept / f"{name}.db"
        if self._home.lost() is None:
            with suppress(pages.BusyError):
                self._end_leftovers()
            pages.remove(path)
            self._home.set_aside(path)
        self.replace()
        return Address(engine="sqlite", database=name, path=str(path))

    def close(self) -> None:
        """Drop the slot and its layers."""
        self._home.close()
        for layer in () if self._borrows else reversed(self._layers[1:]):
            layer.remove()
        self._layers[0].close()

    def _write(self, path: Path) -> Layer:
        pages.write_file(self._home.watcher, path)
        return Layer(path)

    def _make_layer(self, write: Callable[[Path], Layer]) -> Layer:
        """Have a layer written to the best place that has room for it."""
        self._layers_made += 1
        problem: sqlite3.Error | None = None
        for home in self._places.homes(pages.size_bytes(self._home.watcher)):
            path = home / f"{self.name}.layer{self._layers_made}.db"
            try:
                return write(path)
            except pages.BusyError:
                pages.remove(path)
                raise
            except sqlite3.Error as error:
                pages.remove(path)
                problem = error
        raise IsolationError(
            f"a layer of the slot {self.name} cannot be written to {path}: {problem}",
            hint="make room there, or name another directory with cache_dir",
        ) from problem

    def _note_clean(self) -> None:
        watcher = self._home.watcher
        self._clean_version = self._version()
        self._clean_schema = watcher.execute("PRAGMA schema_version").fetchone()[0]

    def _version(self) -> int:
        """A number that changes when any other connection has committed."""
        number: int = self._home.watcher.execute("PRAGMA data_version").fetchone()[0]
        return number

    def _ddl(self) -> tuple[str, ...]:
        watcher = self._home.watcher
        if watcher.execute("PRAGMA schema_version").fetchone()[0] == self._clean_schema:
            return ()
        was = content.objects(self._layers[-1].connection)
        return content.definitions_changed(was, content.objects(watcher))

    def _is_free(self) -> bool:
        """Whether no other connection is in a transaction (in WAL mode: in one that wrote)."""
        try:
            with pages.locked(self._home.watcher):
                return True
        except pages.BusyError:
            return False

    def _end_newer(self) -> tuple[Leftover, ...]:
        """End the transactions that do not stand; none does once something was committed."""
        standing, self._standing = self._standing, {}
        try:
            if not standing or self._version() != self._clean_version:
                return ()
        except sqlite3.OperationalError:  # locked even for reading
            return ()
        found = self._open()
        self._standing = {
            key: changes
            for key, changes in standing.items()
            if key in found and found[key].total_changes == changes
        }
        return leftovers.roll_back(each for key, each in found.items() if key not in self._standing)

    def _open(self) -> dict[int, sqlite3.Connection]:
        return leftovers.in_transaction(self._home.names, self._own())

    def _end_leftovers(self) -> tuple[Leftover, ...]:
        """End this process's leftovers; wait a moment for others.

        Raises:
            BusyError: Somebody whom nobody can stop is in the way.
        """
        watcher = self._home.watcher

        def is_free() -> bool:
            return self._is_free() and pages.checkpoint(watcher)

        ended = leftovers.end(self._home.names, self._own(), is_free)
        if is_free():
            return ended
        watcher.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        try:
            if not is_free():
                raise pages.BusyError
        finally:
            watcher.execute("PRAGMA busy_timeout = 0")
        return ended

    def _own(self) -> tuple[sqlite3.Connection, ...]:
        return (self._home.watcher, *(layer.connection for layer in self._layers))

    def _who_is_in_the_way(self) -> str:
        others = leftovers.elsewhere(self._own())
        if others:
            return (
                f"a lock is held that only another thread can release; {others} connection"
                f"{' is' if others == 1 else 's are'} in a transaction in other threads"
            )
        return "a lock is held by another process, or by another thread that has not read all rows"
