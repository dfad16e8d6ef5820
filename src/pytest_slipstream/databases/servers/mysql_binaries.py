"""Where the server program of MariaDB or MySQL is: the system's newest, or the one that is named.

The invariant: `Binaries.identity` tells builds apart, so that no data made by one is opened
by another.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from pytest_slipstream.errors import MissingExtraError, ServerError

VARIABLE = "SLIPSTREAM_MYSQL_BIN"
INSTALL = (
    "Debian, Ubuntu: apt-get install mariadb-server-core; Homebrew: brew install mariadb; "
    "docker: docker run -d -p 3306:3306 -e MARIADB_ROOT_PASSWORD=test mariadb:11 and "
    '`server = "mysql://root:test@127.0.0.1:3306/"`'
)
Flavour = Literal["mariadb", "mysql"]
_OLDEST: Mapping[Flavour, tuple[int, int]] = {"mariadb": (10, 5), "mysql": (8, 0)}
_TITLES: Mapping[Flavour, str] = {"mariadb": "MariaDB", "mysql": "MySQL"}
_NAMES = ("mariadbd", "mysqld")
_SYSTEM = (
    "/usr/sbin",
    "/usr/libexec",
    "/usr/bin",
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
    "/opt/homebrew/opt/mariadb*/bin",
    "/opt/homebrew/opt/mysql*/bin",
    "/usr/local/opt/mariadb*/bin",
    "/usr/local/opt/mysql*/bin",
)


class Binaries(msgspec.Struct, frozen=True, kw_only=True):
    """A server program; ``identity`` is what it says of its version."""

    program: Path
    flavour: Flavour
    identity: str
    version: tuple[int, int, int]

    @property
    def number(self) -> str:
        """The version as people write it: ``10.11.8``."""
        return ".".join(map(str, self.version))

    @property
    def title(self) -> str:
        """``MariaDB`` or ``MySQL``."""
        return _TITLES[self.flavour]


def find_binaries(environ: Mapping[str, str]) -> Binaries:
    """The program to use: the newest MariaDB, or without one the newest MySQL.

    Args:
        environ: The environment: ``SLIPSTREAM_MYSQL_BIN`` and ``PATH``.

    Raises:
        MissingExtraError: There is none on this machine.
        ServerError: The named directory has none, or all that there are are too old.
    """
    named = environ.get(VARIABLE)
    if named:
        found = [one for name in _NAMES if (one := _inspect(Path(named, name)))]
        if not found:
            raise ServerError(
                f"{VARIABLE} names {named}, where no `mariadbd` or `mysqld` is that runs",
                hint=f"let {VARIABLE} name the directory of the server program, or unset it",
            )
        return _supported(found)
    found = list(_candidates(environ))
    if not found:
        raise MissingExtraError(
            'there is no MariaDB or MySQL on this machine for `server = "embedded"`: neither '
            f"`mariadbd` nor `mysqld` is in PATH or in {', '.join(_SYSTEM[:3])}",
            hint=f"{INSTALL}, or name a directory by {VARIABLE}",
        )
    return _supported(found)


def _supported(found: list[Binaries]) -> Binaries:
    best = max(found, key=lambda one: (one.flavour == "mariadb", one.version))
    problem = too_old(best.flavour, best.version)
    if problem:
        raise ServerError(f"{best.program} is {problem}", hint=INSTALL)
    return best


def too_old(flavour: Flavour, version: tuple[int, ...]) -> str | None:
    """Why a version is not supported, or None."""
    oldest = _OLDEST[flavour]
    if version >= oldest:
        return None
    number = ".".join(map(str, version))
    return f"{_TITLES[flavour]} {number}, and the oldest supported is {oldest[0]}.{oldest[1]}"


def parse_version(text: str) -> tuple[Flavour, tuple[int, int, int]] | None:
    """Product and version in what a server or its program says of itself; None if it is neither.

    MariaDB names itself in its version; some of its servers put ``5.5.5-`` before it.
    """
    match = re.search(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)", text)
    if match is None:
        return None
    flavour: Flavour = "mariadb" if "mariadb" in text.lower() else "mysql"
    return flavour, (int(match[1]), int(match[2]), int(match[3]))


def _candidates(environ: Mapping[str, str]) -> Iterator[Binaries]:
    programs = [
        Path(place, name)
        for pattern in _SYSTEM
        for place in Path("/").glob(pattern.lstrip("/"))
        for name in _NAMES
    ]
    on_path = (shutil.which(name, path=environ.get("PATH", "")) for name in _NAMES)
    programs += [Path(one) for one in on_path if one]
    for program in dict.fromkeys(one.resolve() for one in programs if one.exists()):
        if found := _inspect(program):
            yield found


def _inspect(program: Path) -> Binaries | None:
    """The program, or None when it does not run."""
    if not os.access(program, os.X_OK):
        return None
    try:
        done = subprocess.run(
            [str(program), "--no-defaults", "--version"],
            capture_output=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stdout.decode("utf-8", "replace").partition("Ver ")[2].strip()
    parsed = parse_version(text)
    if done.returncode or parsed is None:
        return None
    return Binaries(program=program, flavour=parsed[0], identity=text, version=parsed[1])
