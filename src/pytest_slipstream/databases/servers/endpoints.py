"""Where an embedded server listens: its socket, its port, its password.

All of it is fixed before the server starts, because the environment carries the URL by then. The
invariant: what one process has been told, every later one of this user is told too.
"""

from __future__ import annotations

import os
import secrets
import socket
import stat
import sys
from pathlib import Path

from pytest_slipstream.databases.servers import directories
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ServerError

LOOPBACK = "127.0.0.1"
# sizeof(sockaddr_un.sun_path) less the final zero: unix(7) on Linux, unix(4) on macOS and BSD.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103


def socket_directory(directory: Path, socket_name: str) -> Path:
    """The directory of the socket: inside the server's, or a short one when that is too long."""
    inside = directory / "socket"
    if len(os.fsencode(inside / socket_name)) <= SOCKET_PATH_BYTES:
        return inside
    return short_socket_directory(directory)


def short_socket_directory(directory: Path) -> Path:
    """Where the socket of a server lies whose directory's path is too long."""
    name = f"slipstream-{os.geteuid()}-s{directories.digest(str(directory))}"
    return directories.SHORT_BASE / name


def make_socket_directory(path: Path, directory: Path, account: Account) -> None:
    """Make the socket's directory, private to ``account``.

    Raises:
        ServerError: It cannot be made; where the reason is the length of the cache directory's
            path, the message says so.
    """
    try:
        directories.make_given(path, account)
    except ServerError as error:
        if path.is_relative_to(directory):
            raise
        wanted = directory / "socket"
        raise ServerError(
            f"the socket directory {wanted} has {len(os.fsencode(wanted))} bytes, too many for a "
            f"unix socket's path of {SOCKET_PATH_BYTES}, and the short one cannot be used instead: "
            f"{error.message}",
            hint="set `cache_dir` in [tool.slipstream] to a shorter path",
        ) from error
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != account.uid:
        raise ServerError(
            f"{path} belongs to another user", hint="remove it, or set a shorter `cache_dir`"
        )


def answers(path: Path) -> bool:
    """Whether a process listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2.0)
        try:
            client.connect(str(path))
        except (BlockingIOError, TimeoutError):
            return True  # it listens and is busy: its queue of connections is full
        except OSError:
            return False
    return True


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port that only has connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def read_port(path: Path) -> int:
    """The remembered port; 0 when there is none."""
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return 0


def kept_port(path: Path, *, in_use: bool) -> int:
    """The remembered port, or another when a stranger has taken it. Under the start lock.

    Args:
        path: The file that remembers it.
        in_use: Our own server listens there now.
    """
    port = read_port(path)
    if port and (in_use or is_free(port)):
        return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        chosen: int = probe.getsockname()[1]
    write_port(path, chosen)
    return chosen


def write_port(path: Path, port: int) -> None:
    """Remember the port."""
    directories.write_whole(path, str(port).encode("ascii"))


def kept_password(path: Path) -> str:
    """The password of the servers in a home, made by whoever comes first."""
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        pass
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    directories.write_whole(draft, secrets.token_urlsafe(24).encode("ascii"))
    try:
        # A link, not a rename: the second to come must not replace the first one's.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text("ascii")
