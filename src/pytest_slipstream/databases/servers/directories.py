"""Directories that are kept between runs: whole, of this boot, and where the server can reach them.

Nothing here is ever synced to disk, so after a reboot none of it is trusted. The invariant: what
carries the file `ORIGIN` was finished; the file is written last.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from filelock import FileLock

from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ServerError

ORIGIN = "origin.json"
MAKING = ".making-"
OF_RUN = "-run-"
"""In the name of a server's directory: it is for one run, whose testrun uid follows."""
CACHE_NOTE = "cache_dir"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SHORT_BASE = Path("/tmp")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a kept directory was made from.

    ``program`` with ``program_bytes`` stands for the binaries: where they are gone or of another
    size, the directory is stale. ``store``: the directory with a server's data.
    """

    label: str
    boot: str
    program: str
    program_bytes: int
    store: str = ""

    def stale(self) -> str | None:
        """Why the directory must be thrown away, or None."""
        if self.boot != boot_id():
            return "it is from before the last reboot"
        try:
            size = Path(self.program).stat().st_size
        except OSError:
            return f"{self.program} is gone"
        return None if size == self.program_bytes else f"{self.program} is another version now"


def boot_id() -> str:
    """What is the same until the machine boots again, whatever is done to the clock.

    Where the kernel has no boot id, the time of the boot in minutes stands for it.
    """
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time() // 60))


def digest(*parts: str) -> str:
    """Twelve hexadecimal digits that stand for ``parts``."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def servers_home(cache_dir: Path, account: Account) -> Path:
    """Where servers of ``account`` live for a cache directory; the same answer each time.

    A cache directory that the account cannot enter (root's own home, for example) keeps its
    servers in a directory in ``/tmp`` that is named after it.
    """
    inside = cache_dir / "servers"
    if account.reaches(inside if inside.exists() else cache_dir):
        return inside
    return Path(f"{short_prefix()}{digest(str(cache_dir))}")


def short_prefix() -> str:
    """How the paths begin of what lies outside the cache directory."""
    return str(SHORT_BASE / f"slipstream-{os.geteuid()}-")


def make_home(home: Path, cache_dir: Path, account: Account) -> None:
    """Make the home; one outside its cache directory notes whose it is.

    Raises:
        ServerError: It cannot be made.
    """
    make_directory(home, account, parents=True)
    if not home.is_relative_to(cache_dir) and not (home / CACHE_NOTE).exists():
        write_whole(home / CACHE_NOTE, os.fsencode(cache_dir))


def make_directory(path: Path, account: Account, *, parents: bool = False) -> None:
    """Make a directory of this process's own that ``account`` may enter.

    Raises:
        ServerError: It cannot be made, or another user has put something there.
    """
    try:
        path.mkdir(mode=0o711 if account.dropped else 0o700, parents=parents, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServerError(
            f"{path} belongs to another user or is not a directory",
            hint="remove it, or set `cache_dir` in [tool.slipstream] to a directory of your own",
        )


def let_enter(path: Path, account: Account) -> None:
    """Open a new private directory of this process's to ``account``, for entering only."""
    if account.dropped:
        path.chmod(0o711)


def make_given(path: Path, account: Account) -> None:
    """Make a private directory that belongs to ``account``."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    account.give(path)


def unusable(path: Path, error: OSError) -> ServerError:
    """The error for a directory that cannot be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(path)
    return ServerError(
        f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
        hint="set `cache_dir` in [tool.slipstream] to a directory you may write to",
    )


def no_space(path: Path) -> ServerError:
    """The error for a full file system."""
    return ServerError(
        f"no space is left on the file system of {path}",
        hint="free some, run `slipstream db prune`, or set `cache_dir` in [tool.slipstream] to "
        "a directory on another file system",
    )


def made_once(path: Path, origin: Origin, account: Account, make: Callable[[Path], None]) -> Path:
    """Return ``path``; first have ``make`` fill it unless it is there, whole and not stale.

    Args:
        path: The directory; its parent is made too.
        origin: What it is made from; written into it last.
        account: Who may enter it.
        make: Fills the directory it is given; when it raises, nothing is left.
    """
    make_directory(path.parent, account)
    with FileLock(path.with_name(path.name + ".lock"), thread_local=False):
        if read_origin(path) == origin:
            return path
        remove(path)
        for leftover in path.parent.glob(f"{path.name}{MAKING}*"):
            remove(leftover)
        making = Path(tempfile.mkdtemp(prefix=path.name + MAKING, dir=path.parent))
        try:
            let_enter(making, account)
            make(making)
            write_origin(making, origin)
            making.rename(path)
        except OSError as error:
            raise unusable(path, error) from error
        finally:
            remove(making)
    return path


def read_origin(directory: Path) -> Origin | None:
    """What a kept directory was made from; None when it is not whole."""
    try:
        return msgspec.json.decode((directory / ORIGIN).read_bytes(), type=Origin)
    except (OSError, msgspec.DecodeError):
        return None


def write_origin(directory: Path, origin: Origin) -> None:
    """Say what the directory was made from: it is whole now."""
    write_whole(directory / ORIGIN, msgspec.json.encode(origin))


def write_whole(path: Path, content: bytes) -> None:
    """Write a private file so that a reader sees all of it or none."""
    draft = path.with_name(path.name + f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def remove(path: Path) -> None:
    """Remove a directory of ours; what cannot be removed now is left for `prune`."""
    shutil.rmtree(path, ignore_errors=True)


def room_in_memory(directory: Path) -> int:
    """Bytes that may be put on a RAM disk: its free space, within the memory that is available."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return 0
    import psutil  # here, since most runs find a server and do not ask

    rooms = [disk.f_bavail * disk.f_frsize, psutil.virtual_memory().available]
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text("ascii").strip()
    except OSError:
        limit = "max"
    if limit != "max":
        rooms.append(int(limit) - int(used))
    return max(0, min(rooms))


def size_bytes(directory: Path) -> int:
    """The bytes that the files below ``directory`` take."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += Path(folder, name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue  # a running server removes files while they are counted
    return total
