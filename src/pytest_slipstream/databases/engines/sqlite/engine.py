"""SQLite as an engine: no server, so templates, locks and slots are files.

The invariant: a template's file appears under its name complete, by one rename, and is never
written again; what a process uses cannot be dropped by another.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import (
    Address,
    Owner,
    Progress,
    ServerInfo,
    Slot,
    TemplateInfo,
)
from pytest_slipstream.databases.engines.sqlite import pages, scripts, strictness
from pytest_slipstream.databases.engines.sqlite.homes import FileHome, Home, MemoryHome
from pytest_slipstream.databases.engines.sqlite.layers import Layer
from pytest_slipstream.databases.engines.sqlite.places import Places
from pytest_slipstream.databases.engines.sqlite.slot import SqliteSlot
from pytest_slipstream.errors import ConfigurationError, ServerError, TemplateError
from pytest_slipstream.settings import DatabaseSettings

RULES = 1
"""Raised when what `strict` builds into a template changes."""

_MEMORY_SINCE = (3, 36)
_PUBLISH_PATIENCE_S = 1.0


class _Note(msgspec.Struct, frozen=True):
    """What stands beside a template; the file's modification time is when it was last used."""

    database: str
    fingerprint: str


def create(name: str, settings: DatabaseSettings, *, cache_dir: Path, owner: Owner) -> SqliteEngine:
    """The engine of one configured database; nothing is touched on disk.

    Raises:
        ConfigurationError: ``memory`` needs a newer SQLite than Python has here.
    """
    if settings.memory and sqlite3.sqlite_version_info < _MEMORY_SINCE:
        raise ConfigurationError(
            f"the database {name!r} has memory = true, which needs SQLite 3.36 or later; this "
            f"Python has {sqlite3.sqlite_version}",
            hint="set memory = false: the slot is then a file, on the RAM disk where there is one",
        )
    digest = naming.owner_digest(owner.testrun_uid, owner.worker)
    return SqliteEngine(Places(cache_dir, f"{digest}_{name}"), settings)


class SqliteEngine:
    """One configured SQLite database in this process.

    Args:
        places: Its directories.
        settings: With ``memory``, slots are in memory; templates never are.
    """

    name = "sqlite"
    max_name_length = 200

    def __init__(self, places: Places, settings: DatabaseSettings) -> None:
        self._places = places
        self._memory = settings.memory
        self._strict = settings.strict
        self._stands_for = settings.stands_for

    def address(self, database: str) -> Address:
        """Where a slot will be. Nothing is opened."""
        path = f"file:/{database}?vfs=memdb" if self._memory else str(self._places.link(database))
        return Address(engine="sqlite", database=database, path=path)

    def open(self, progress: Progress) -> ServerInfo:
        """Claim this process's directory and remove what dead processes left."""
        start = time.perf_counter()
        self._places.claim()
        self._remove_dead_builds()
        version = sqlite3.sqlite_version
        return ServerInfo(
            version=version,
            started=False,
            seconds=time.perf_counter() - start,
            identity=self._identity,
        )

    @property
    def _identity(self) -> str:
        memory = " in memory" if self._memory else ""
        strict = f" strict {RULES} {self._stands_for}" if self._strict else ""
        return f"sqlite {sqlite3.sqlite_version}{memory}{strict}"

    def close(self, *, keep_running: bool = False) -> None:
        """Remove this process's directory."""
        self._places.release()

    def unavailable(self, isolation: str) -> str | None:
        """Every strategy can be had."""
        return None

    def connect(self, address: Address) -> sqlite3.Connection:
        """A new connection, with the standard library's transaction control."""
        is_uri = address.path.startswith("file:")
        return sqlite3.connect(address.path, uri=is_uri, check_same_thread=False)

    def run_script(self, address: Address, sql: str) -> None:
        """Run a text of SQL statements; raises `ScriptError`."""
        with closing(self.connect(address)) as connection:
            connection.isolation_level = None
            scripts.run(connection, sql)

    def templates(self) -> list[TemplateInfo]:
        """All published templates in this cache."""
        found = []
        for file in sorted(self._places.templates.glob(f"{naming.PREFIX}t_*.db")):
            try:
                note = msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=_Note)
                used_at, size = file.with_suffix(".json").stat().st_mtime, file.stat().st_size
            except FileNotFoundError:  # another process drops it now
                continue
            found.append(
                TemplateInfo(
                    name=file.stem,
                    database=note.database,
                    fingerprint=note.fingerprint,
                    used_at=used_at,
                    size_bytes=size,
                )
            )
        return found

    @contextmanager
    def build_lock(self, template: str) -> Iterator[None]:
        """Hold the right to build ``template``, over processes; dies with the process."""
        with FileLock(self._build_lock(template)):
            yield

    def has_template(self, template: str) -> bool:
        """Whether it is published; if so, this process uses it from now on."""
        file = self._template(template)
        with self._places.registry():
            if not (file.exists() and file.with_suffix(".json").exists()):
                return False
            os.utime(file.with_suffix(".json"))
            self._places.use(template)
        return True

    def begin_build(self, template: str) -> Address:
        """The path of an empty database; one left by a killed run is removed."""
        file = self._building(template)
        pages.remove(file)
        return Address(engine="sqlite", database=file.stem, path=str(file))

    def publish(self, template: str, database: str, fingerprint: str) -> None:
        """Copy the build and rename the copy.

        A copy, because the schema's or the seed's code may have left connections to the build.

        Raises:
            TemplateError: A transaction was left open in it.
        """
        file, building = self._template(template), self._building(template)
        part = file.with_suffix(".part")
        pages.remove(part)
        with closing(sqlite3.connect(building, timeout=_PUBLISH_PATIENCE_S)) as connection:
            connection.isolation_level = None
            self._check_committed(connection, database)
            pages.write_file(connection, part, durable=True)
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            if self._strict:
                strictness.build(connection, database, self._stands_for)
            if self._memory:  # it has no write-ahead log, and cannot be a copy of one that has
                connection.execute("PRAGMA journal_mode = DELETE")
        note = _Note(database=database, fingerprint=fingerprint)
        part.with_suffix(".note").write_bytes(msgspec.json.encode(note))
        part.with_suffix(".note").replace(file.with_suffix(".json"))
        part.replace(file)
        pages.remove(building)

    def _check_committed(self, connection: sqlite3.Connection, database: str) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise TemplateError(
                f"the template of the database {database!r} cannot be finished, because a "
                f"transaction was left open in it: {error}",
                hint="commit and close every connection in the callables of schema and seed",
            ) from error

    def abandon_build(self, template: str) -> None:
        """Remove the half-built database."""
        pages.remove(self._building(template))

    def drop_template(self, template: str) -> bool:
        """Remove a published template; False when a living process uses it, or it is gone."""
        file = self._template(template)
        with self._places.registry():
            if not file.exists() or self._places.is_used(template):
                return False
            file.unlink()
            file.with_suffix(".json").unlink(missing_ok=True)
        return True

    def create_slot(self, name: str, template: str) -> Slot:
        """Make a slot.

        Raises:
            TemplateError: The template is not there.
        """
        if not self.has_template(template):
            raise TemplateError(f"the template {template} is not in {self._places.templates}")
        address, layer = self.address(name), Layer(self._template(template))
        home: Home
        try:
            if self._memory:
                home = MemoryHome(name, address.path, layer.connection)
            else:
                home = FileHome(name, self._places, layer.connection)
        except ServerError:
            layer.close()
            raise
        return SqliteSlot(name, address, home, layer, self._places)

    def _template(self, template: str) -> Path:
        return self._places.templates / f"{template}.db"

    def _building(self, template: str) -> Path:
        return self._places.templates / f"{naming.build_name(template)}.db"

    def _build_lock(self, template: str) -> Path:
        return self._places.templates / f"{naming.build_name(template)}.lock"

    def _remove_dead_builds(self) -> None:
        for file in self._places.templates.glob(f"{naming.PREFIX}b_*.db"):
            try:
                with FileLock(file.with_suffix(".lock"), timeout=0):
                    pages.remove(file)
            except Timeout:  # it is being built now
                continue
