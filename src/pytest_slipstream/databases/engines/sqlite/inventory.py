"""What slipstream has of SQLite in one cache; see `databases.holdings`."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from pytest_slipstream.databases.engines.protocol import Address, Owner
from pytest_slipstream.databases.engines.sqlite.engine import SqliteEngine, create
from pytest_slipstream.databases.engines.sqlite.places import Places
from pytest_slipstream.databases.holdings import Holding, Kind, kind_of, refuse_alive
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

_NOBODY = "0" * 12 + "_nobody"


class SqliteStock:
    """The templates, slots and kept databases of a cache directory.

    Args:
        cache_dir: The cache directory.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._places = Places(cache_dir, _NOBODY)
        self._engine = self._new_engine()
        self.title = f"SQLite, {self._places.root}"

    def _new_engine(self) -> SqliteEngine:
        owner = Owner(testrun_uid=uuid.uuid4().hex, worker="inventory")
        settings = DatabaseSettings(engine="sqlite")
        return create("inventory", settings, cache_dir=self._cache_dir, owner=owner)

    def holdings(self) -> list[Holding]:
        """All databases; slots in memory are their process's own, and not seen."""
        if not self._places.templates.is_dir():
            return []
        with self._places.registry():
            templates = self._templates()
            slots = [
                self._file("slot", path, alive=self._places.is_alive(path.parent.name))
                for path in sorted(self._places.own.parent.glob("*/*.db"))
            ]
        kept = [self._file("kept", path) for path in sorted(self._places.kept.glob("*.db"))]
        return templates + slots + kept

    def _templates(self) -> list[Holding]:
        return [
            Holding(
                kind=kind_of(template.name),
                name=template.name,
                address=self._address(self._places.templates / f"{template.name}.db"),
                size_bytes=template.size_bytes,
                alive=self._places.own.parent.is_dir() and self._places.is_used(template.name),
                database=template.database,
                fingerprint=template.fingerprint,
                used_at=template.used_at,
            )
            for template in self._engine.templates()
        ]

    def _file(self, kind: Kind, path: Path, *, alive: bool = False) -> Holding:
        return Holding(
            kind=kind,
            name=path.stem,
            address=self._address(path),
            size_bytes=path.stat().st_size if path.exists() else 0,
            alive=alive,
            used_at=path.stat().st_mtime if path.exists() else 0.0,
        )

    def _address(self, path: Path) -> Address:
        return Address(engine="sqlite", database=path.stem, path=str(path))

    def drop(self, holding: Holding) -> None:
        """Remove the file of a database that nobody uses."""
        refuse_alive(holding)
        if holding.kind == "template":
            self._engine.open(lambda message: None)
            try:
                if not self._engine.drop_template(holding.name):
                    raise SlipstreamError(f"{holding.name} has just been taken into use")
            finally:
                self._engine.close()
            return
        path = Path(holding.address.path)
        for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")):
            part.unlink(missing_ok=True)

    def keep(self, holding: Holding, name: str) -> Address:
        """Copy a slot as it is committed now; also one that is in use."""
        path = self._places.kept / f"{name}.db"
        if path.exists():
            raise SlipstreamError(f"there is a database {name!r} already")
        with closing(sqlite3.connect(holding.address.path)) as source:
            with closing(sqlite3.connect(path)) as target:
                source.backup(target)
        return self._address(path)

    def prune(self) -> list[str]:
        """Remove what dead runs left: whoever opens the engine does so."""
        if not self._places.root.is_dir():
            return []
        before = self._of_runs()
        engine = self._new_engine()
        engine.open(lambda message: None)
        engine.close()
        return sorted(before - self._of_runs())

    def _of_runs(self) -> set[str]:
        slots = self._places.own.parent.glob("*/*.db")
        builds = (path for path in self._places.templates.glob("*.db"))
        return {path.stem for path in (*slots, *builds)}

    def close(self) -> None:
        """Nothing is held."""
