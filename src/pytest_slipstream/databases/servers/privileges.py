"""As whom a server runs.

Database servers refuse to run as root. The invariant: no user is created and no permission of an
existing directory is changed; what the server's account may not reach is put elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import msgspec

UNPRIVILEGED = 65534
_CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_SETGID": 6, "CAP_SETUID": 7}


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The account a server runs as.

    ``dropped``: it is another one than this process's. ``prefix``: what goes before its command.
    """

    uid: int
    gid: int
    dropped: bool = False
    prefix: tuple[str, ...] = ()

    def identity(self) -> _Identity:
        """The arguments of `subprocess.Popen` that make a child run as this account."""
        if not self.dropped:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make the account the owner of ``path``, which this process has made."""
        if self.dropped:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Whether the account may enter the directory ``path``, by the mode bits on the way."""
        path = path.resolve()
        way = [place for place in (path, *path.parents) if place.exists()]
        return not self.dropped or all(self._allows(one.stat(), stat.S_IXOTH) for one in way)

    def reads(self, path: Path) -> bool:
        """Whether the account may enter the directory ``path`` and list it, if it is there."""
        if not self.dropped or not path.exists():
            return True
        return self.reaches(path) and self._allows(path.stat(), stat.S_IXOTH | stat.S_IROTH)

    def _allows(self, status: os.stat_result, bits: int) -> bool:
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & bits == bits


def server_account() -> Account:
    """The account for this process's servers: its own, or for root an unprivileged one."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return Account(uid=uid, gid=gid)
    if can_drop(_lines("/proc/self/uid_map"), _lines("/proc/self/status")):
        return Account(uid=UNPRIVILEGED, gid=UNPRIVILEGED, dropped=True)
    # In a container with one user or without the capabilities: a user namespace without a mapping
    # makes us nobody inside, and keeps the files ours outside.
    return Account(uid=uid, gid=gid, prefix=("unshare", "--user"))


def can_drop(uid_map: Iterable[str], status: Iterable[str]) -> bool:
    """Whether root may become the unprivileged uid and give it files.

    Args:
        uid_map: The lines of ``/proc/self/uid_map``; none where there is no such file.
        status: The lines of ``/proc/self/status``, likewise.
    """
    ranges = [(int(first), int(count)) for first, _, count in map(str.split, uid_map)]
    if ranges and not any(first <= UNPRIVILEGED < first + count for first, count in ranges):
        return False
    effective = [int(line.split()[1], 16) for line in status if line.startswith("CapEff:")]
    return all(mask >> bit & 1 for mask in effective for bit in _CAPABILITIES.values())


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
