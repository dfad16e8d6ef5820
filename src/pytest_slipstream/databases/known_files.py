"""Contents of files remembered between runs: digest and imports, by path and `stat`.

The invariant: what is answered is what the file holds now. An entry counts only when size, inode
and both times are equal to those seen then, and a file that changed a moment before it was read is
not remembered, because a second change could have the same times.
"""

# ruff: noqa: PTH116  (a stat for each file is the whole cost of a run that builds nothing)
from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from pytest_slipstream.databases.imports import Import, imports_of

_VERSION = "1"
_SETTLED_NS = 2_000_000_000
"""The coarsest resolution of file times in use (FAT)."""

Stat = tuple[int, int, int, int]
_NO_STAT = (0, 0, 0, 0)


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What a file held when its ``stat`` was this."""

    stat: Stat
    digest: str
    imports: tuple[Import, ...]


class _Stored(msgspec.Struct, array_like=True):
    version: str
    files: dict[str, Known]


class KnownFiles:
    """The files of one database's sources.

    Args:
        path: Where they are remembered.
        known: What was remembered.
    """

    def __init__(self, path: Path, known: dict[str, Known]) -> None:
        self._path = path
        self._known = known
        self._now: dict[str, Known] = {}
        self._learnt = False

    @classmethod
    def load(cls, cache_dir: Path, key: str) -> KnownFiles:
        """Read what is remembered for ``key``; nothing when it is damaged or of another version."""
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = cache_dir / "fingerprints" / f"{name}.msgpack"
        with suppress(OSError, msgspec.DecodeError):
            stored = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
            if stored.version == _version():
                return cls(path, stored.files)
        return cls(path, {})

    def digest(self, file: str) -> str:
        """The SHA-256 of a file's content in hexadecimal, or why it cannot be read."""
        return self._look(file).digest

    def imports(self, file: str) -> tuple[Import, ...]:
        """The imports of a Python file."""
        return self._look(file).imports

    def _look(self, file: str) -> Known:
        if file not in self._now:
            before = self._known.get(file)
            fresh = before is not None and before.stat == _stat(file)
            self._now[file] = before if before is not None and fresh else self._read(file)
        return self._now[file]

    def _read(self, file: str) -> Known:
        stat = _stat(file)
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            return Known(_NO_STAT, f"unreadable: {error.strerror}", ())
        digest = hashlib.sha256(content).hexdigest()
        known = Known(stat, digest, imports_of(content) if file.endswith(".py") else ())
        settled = abs(time.time_ns() - max(stat[:2])) > _SETTLED_NS
        if settled and _stat(file) == stat:
            self._known[file] = known
            self._learnt = True
        return known

    def save(self) -> None:
        """Remember what was read, for the next run; where that cannot be written, it is not."""
        if not self._learnt:
            return
        remembered = {
            file: known for file, known in self._now.items() if self._known.get(file) is known
        }
        data = msgspec.msgpack.encode(_Stored(_version(), remembered))
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.stem)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                Path(name).replace(self._path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise


def _version() -> str:
    # Python's version decides what parses.
    return f"{_VERSION}/{sys.version_info[:2]}"


def _stat(file: str) -> Stat:
    try:
        found = os.stat(file)
    except OSError:
        return _NO_STAT
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
