"""A layer's file written over a slot's file as it is, without a page passing through SQLite.

SQLite's own copy asks for each page, for the old one too, and so takes three times as long. The
invariant: the file is written only under SQLite's exclusive lock, only where it has a rollback
journal, and with a change counter and a schema cookie that it has not had before; so all other
connections notice, as they do when another process has committed.

The header's fields: https://www.sqlite.org/fileformat2.html, section 1.3.
"""

from __future__ import annotations

import mmap
import os
import sqlite3
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from pytest_slipstream.databases.engines.sqlite import pages

_HEADER_BYTES = 100
_VERSIONS = slice(18, 20)
_ROLLBACK_JOURNAL = b"\x01\x01"
_COUNTER_AT, _COOKIE_AT, _VALID_FOR_AT = 24, 40, 92
_FIELD = struct.Struct(">I")
_MODULUS = 2**32


class _Header(NamedTuple):
    """The fields of a database's first bytes that matter here."""

    change_counter: int
    schema_cookie: int
    has_rollback_journal: bool


class Image:
    """The bytes of a database file that nobody writes any more.

    They are mapped, not read: all processes that reset to the same template share them.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._header = file.read(_HEADER_BYTES)
            # An empty database is an empty file, which cannot be mapped.
            self._map = (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self._header else None
            )

    def overwrite(self, descriptor: int, connection: sqlite3.Connection) -> bool:
        """Make the file behind ``descriptor`` equal to this one.

        Args:
            descriptor: The file, open for as long as this process has connections to it: closing
                any of its descriptors would drop their locks.
            connection: To the same file, in autocommit mode.

        Returns:
            False if it has to be copied by SQLite; then it was not touched.

        Raises:
            BusyError: Another connection holds a lock on it.
            OSError: It cannot be written, and is damaged.
        """
        if sys.platform == "win32" or self._map is None:
            return False
        with pages.locked(connection), memoryview(self._map) as image:
            old, new = _read(os.pread(descriptor, _HEADER_BYTES, 0)), _read(self._header)
            if not (old and old.has_rollback_journal and new and new.has_rollback_journal):
                return False
            _write(descriptor, self._header_after(old), 0)
            _write(descriptor, image[_HEADER_BYTES:], _HEADER_BYTES)
            os.ftruncate(descriptor, len(image))
        return True

    def close(self) -> None:
        """Unmap the file."""
        if self._map is not None:
            self._map.close()

    def _header_after(self, old: _Header) -> bytes:
        header = bytearray(self._header)
        counter = (old.change_counter + 1) % _MODULUS
        _FIELD.pack_into(header, _COUNTER_AT, counter)
        _FIELD.pack_into(header, _VALID_FOR_AT, counter)
        _FIELD.pack_into(header, _COOKIE_AT, (old.schema_cookie + 1) % _MODULUS)
        return bytes(header)


def _read(header: bytes) -> _Header | None:
    if len(header) < _HEADER_BYTES:
        return None
    return _Header(
        change_counter=_FIELD.unpack_from(header, _COUNTER_AT)[0],
        schema_cookie=_FIELD.unpack_from(header, _COOKIE_AT)[0],
        has_rollback_journal=header[_VERSIONS] == _ROLLBACK_JOURNAL,
    )


def _write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
