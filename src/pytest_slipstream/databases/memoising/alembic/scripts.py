"""The files that migrations consist of, and whether what they do can be known from them.

The invariant: two equal keys stand for the same bytes. A migration whose code may ask for anything
but the database (the project's modules, the environment, the clock of the machine, other files) has
no key.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator

import msgspec

from pytest_slipstream.databases.imports import imports_of
from pytest_slipstream.databases.memoising.ledger import UnknownResultError

LIBRARIES = frozenset(
    (
        "advanced_alchemy",
        "alembic",
        "alembic_postgresql_enum",
        "alembic_utils",
        "citext",
        "fastapi_users_db_sqlalchemy",
        "geoalchemy2",
        "pgvector",
        "sqlalchemy",
        "sqlalchemy_utils",
        "sqlmodel",
    )
)
"""What defines operations and types, and keeps no state of the project's."""
_TEXTS = ("json", "logging", "re", "string", "textwrap", "uuid", "warnings")
_VALUES = ("base64", "datetime", "decimal", "enum", "hashlib", "math", "zoneinfo")
_CODE = ("__future__", "abc", "collections", "contextlib", "copy", "dataclasses", "functools")
_CODE_TOO = ("itertools", "operator", "types", "typing", "typing_extensions")
_MAY_IMPORT = LIBRARIES.union(_TEXTS, _VALUES, _CODE, _CODE_TOO)
_ASKS = re.compile(
    r"\.config\b|\.opts\b|environment_context|get_x_argument|create_(?:async_)?engine"
    r"|\b(?:__import__|compile|eval|exec|open|input)\s*\("
)
_SETTLED_NS = 2_000_000_000
"""A file that was changed so long ago shows the next change by its times, coarse as they are."""


class _File(msgspec.Struct, frozen=True):
    """What is known of a file; ``is_settled``: until its `stat` is another."""

    stat: tuple[int, ...]
    is_settled: bool
    digest: bytes
    problem: str | None


class Scripts:
    """Remembers files by what `stat` says of them."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def key(self, surroundings: str, versions: Iterable[str]) -> str:
        """One digest of all files.

        Args:
            surroundings: The directory of ``env.py``.
            versions: Those of the migrations.

        Raises:
            UnknownResultError: A migration asks for more than the database.
        """
        found = hashlib.sha256()
        in_versions = set(versions)
        for directory in sorted({surroundings, *in_versions}):
            for entry in _entries(directory):
                file = self._look(entry)
                is_migration = entry.name.endswith(".py") and any(
                    entry.path.startswith(place + os.sep) for place in in_versions
                )
                if is_migration and file.problem is not None:
                    raise UnknownResultError(f"the migration {entry.name}, which {file.problem}")
                found.update(f"{entry.path}\0".encode())
                found.update(file.digest)
        return found.hexdigest()

    def _look(self, entry: os.DirEntry[str]) -> _File:
        found = entry.stat()
        stat = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        known = self._files.get(entry.path)
        if known is not None and known.is_settled and known.stat == stat:
            return known
        is_settled = max(stat[:2]) + _SETTLED_NS < time.time_ns()
        with open(entry.path, "rb") as file:  # noqa: PTH123 - a hundred of them for each test
            content = file.read()
        digest = hashlib.sha256(content).digest()
        if known is not None and known.digest == digest:
            problem = known.problem
        else:
            problem = what_it_asks_for(content) if entry.name.endswith(".py") else None
        self._files[entry.path] = made = _File(stat, is_settled, digest, problem)
        return made


def what_it_asks_for(source: bytes) -> str | None:
    """What a migration needs beside the database, in words; None where that is nothing."""
    for item in imports_of(source):
        top = item.module.partition(".")[0]
        if item.level or top not in _MAY_IMPORT:
            return f"imports {'.' * item.level}{item.module}"
        if item.module == "alembic.context" or (top == "alembic" and "context" in item.names):
            return "asks for Alembic's configuration"
    asks = _ASKS.search(source.decode(errors="replace"))
    return None if asks is None else f"says {asks[0].strip()!r}"


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    """All files below a directory, in their order, compiled ones left out."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_file():
                yield entry
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from _entries(entry.path)
