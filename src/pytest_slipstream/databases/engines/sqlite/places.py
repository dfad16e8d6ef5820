"""Where SQLite's files are: templates and kept databases in the cache, slots on the RAM disk.

Under the cache directory's ``sqlite``:

- ``templates/<template>.db``, with ``<template>.json`` that says what it is;
- ``kept/<name>.db``;
- ``slots/<owner>/<slot>.db``: a symbolic link, so that a slot's path is known before it is decided
  where its file will be, and a file that cannot be written any more can be exchanged for another.

The invariant: each ``slots/<owner>`` belongs to the process that holds the lock on its file
``lock``. Who holds the registry's lock and can take an owner's knows that the owner is dead, and
may remove all that was its own. Nothing else is ever removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_slipstream.errors import ServerError

_RAM_DISK = Path("/dev/shm")
_ROOM_TO_WRITE_BYTES = 32 * 2**20
_OWNER = re.compile(r"[0-9a-f]{12}_[a-z][a-z0-9_]*\Z")
_REGISTRY_TIMEOUT_S = 60


class Places:
    """The directories of one configured database in one process.

    Args:
        cache_dir: slipstream's cache directory.
        owner: The owner's name: its digest and the configured database's key.
    """

    def __init__(self, cache_dir: Path, owner: str) -> None:
        self.root = cache_dir / "sqlite"
        self.templates = self.root / "templates"
        self.kept = self.root / "kept"
        self.own = self.root / "slots" / owner
        self._ram_root = _ram_root(self.root)
        self._lock = FileLock(self.own / "lock")

    def link(self, slot: str) -> Path:
        """The path under which the application opens a slot."""
        return self.own / f"{slot}.db"

    def claim(self) -> None:
        """Make this process's directory, and remove those of dead processes.

        Raises:
            ServerError: The cache cannot be written, or another process is the same owner.
        """
        try:
            for directory in (self.templates, self.kept, self.own):
                directory.mkdir(parents=True, exist_ok=True)
            with self.registry():
                self._sweep()
                self.own.mkdir(exist_ok=True)
                self._lock.acquire(timeout=0)
        except Timeout:
            raise ServerError(
                f"the slots in {self.own} belong to another process that is still running"
            ) from None
        except OSError as error:
            raise ServerError(
                f"the cache directory {self.root} cannot be used: {error}",
                hint="name a directory that you may write in with cache_dir, or with the "
                "environment variable SLIPSTREAM_CACHE_DIR",
            ) from error

    def restore(self) -> None:
        """Make this process's directory anew, with its lock, if a test removed it."""
        if (self.own / "lock").exists():
            return
        self.own.mkdir(parents=True, exist_ok=True)
        with self.registry():
            self._lock.release(force=True)
            self._lock.acquire(timeout=0)

    def release(self) -> None:
        """Remove this process's directory and let go of its lock."""
        with self.registry():
            self._remove_owner(self.own.name)
            self._lock.release(force=True)
            if self._ram_root is not None:
                _remove_if_unused(self._ram_root)

    @contextmanager
    def registry(self) -> Iterator[None]:
        """Hold the lock under which owners come and go; only ever for a moment."""
        lock = FileLock(self.root / "registry.lock")
        try:
            lock.acquire(timeout=_REGISTRY_TIMEOUT_S)
        except Timeout:
            raise ServerError(
                f"{lock.lock_file} has been held by another process for {_REGISTRY_TIMEOUT_S} "
                "seconds"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def homes(self, size_bytes: int) -> Iterator[Path]:
        """Directories for a slot's file, the best first.

        Args:
            size_bytes: How large the database is before a test writes to it.
        """
        root = self._ram_root
        if root is not None and _has_room(size_bytes) and _is_ours(root):
            (root / self.own.name).mkdir(mode=0o700, exist_ok=True)
            _name_home(root, self.root)
            yield root / self.own.name
        (self.own / "files").mkdir(parents=True, exist_ok=True)
        yield self.own / "files"

    def use(self, template: str) -> None:
        """Say that this process uses a template; the registry's lock must be held."""
        uses = self.own / "uses"
        uses.mkdir(exist_ok=True)
        (uses / template).touch()

    def is_used(self, template: str) -> bool:
        """Whether a living process uses a template; the registry's lock must be held."""
        return any(
            (owner / "uses" / template).exists() and not _is_dead(owner)
            for owner in self.own.parent.iterdir()
        )

    def is_alive(self, owner: str) -> bool:
        """Whether the process of ``slots/<owner>`` lives; the registry's lock must be held."""
        return not _is_dead(self.own.parent / owner)

    def _sweep(self) -> None:
        owners = {entry.name for entry in self.own.parent.iterdir()}
        if self._ram_root is not None:
            if self._ram_root.is_dir():
                owners.update(entry.name for entry in self._ram_root.iterdir())
            _remove_orphaned_roots(self._ram_root.parent)
        for owner in owners:
            if _OWNER.match(owner) and _is_dead(self.own.parent / owner):
                self._remove_owner(owner)

    def _remove_owner(self, owner: str) -> None:
        if self._ram_root is not None:
            shutil.rmtree(self._ram_root / owner, ignore_errors=True)
        shutil.rmtree(self.own.parent / owner, ignore_errors=True)


def _is_dead(owner: Path) -> bool:
    """Whether nobody holds the lock of an owner's directory (or there is no lock)."""
    if not (owner / "lock").exists():
        return True
    lock = FileLock(owner / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True


def _ram_root(root: Path) -> Path | None:
    """The directory on the RAM disk that belongs to a cache, or None where there is no RAM disk."""
    if not (_RAM_DISK.is_dir() and os.access(_RAM_DISK, os.W_OK | os.X_OK)):
        return None
    cache = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:10]
    return _RAM_DISK / f"slipstream-sqlite-{os.getuid()}-{cache}"


def _has_room(size_bytes: int) -> bool:
    free = shutil.disk_usage(_RAM_DISK).free
    return free >= _ROOM_TO_WRITE_BYTES + 4 * size_bytes


def _is_ours(root: Path) -> bool:
    """Make ``root``; anybody can write on the RAM disk, so look whose it is."""
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _name_home(root: Path, cache: Path) -> None:
    """Note for which cache the directory was made; without that cache it is an orphan."""
    if not (root / "cache").exists():
        (root / "cache").write_bytes(os.fsencode(cache.resolve()))


def _remove_orphaned_roots(ram_disk: Path) -> None:
    for root in ram_disk.glob(f"slipstream-sqlite-{os.getuid()}-*"):
        cache = root / "cache"
        if cache.exists() and not Path(os.fsdecode(cache.read_bytes())).exists():
            shutil.rmtree(root, ignore_errors=True)


def _remove_if_unused(root: Path) -> None:
    if root.is_dir() and {entry.name for entry in root.iterdir()} <= {"cache"}:
        shutil.rmtree(root, ignore_errors=True)
