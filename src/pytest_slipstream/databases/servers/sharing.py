"""Who uses an embedded server: the lock around its start and stop, and the list of its users.

Each user process holds a lock on a file of its own for as long as it lives; the kernel lets go of
it when the process dies, however it dies. The invariant: the list is read and changed only while
the start lock is held, so the last to leave knows that it is the last.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_slipstream.databases.engines.protocol import Progress
from pytest_slipstream.errors import ServerError

_QUIET_S = 1.0
_PATIENCE_S = 300.0


class Sharing:
    """The users of the server whose directory is ``directory``, and this process among them.

    The lock file lies beside the directory, so that it stays when the directory is thrown away.
    """

    def __init__(self, directory: Path) -> None:
        self._lock_path = directory.with_name(directory.name + ".lock")
        self._users = directory / "users"
        self._own: tuple[Path, int] | None = None

    @contextmanager
    def alone(self, progress: Progress) -> Iterator[None]:
        """Hold the start lock.

        Raises:
            ServerError: Another process has held it for five minutes.
        """
        lock = FileLock(self._lock_path, thread_local=False)
        try:
            lock.acquire(timeout=_QUIET_S, poll_interval=0.02)
        except Timeout:
            progress("waiting for another run that starts or stops the server")
            try:
                lock.acquire(timeout=_PATIENCE_S, poll_interval=0.1)
            except Timeout:
                raise ServerError(
                    f"the lock {self._lock_path} is held by another process for more than "
                    f"{_PATIENCE_S:.0f} s",
                    hint="end the pytest run that hangs while it starts a server",
                ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def alone_now(self) -> Iterator[bool]:
        """Hold the start lock if nobody else does; yields whether it is held."""
        lock = FileLock(self._lock_path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def join(self) -> None:
        """Become a user. Under the start lock."""
        if self._own is not None:
            return
        self._users.mkdir(mode=0o700, exist_ok=True)
        path = self._users / f"{os.getpid()}-{secrets.token_hex(4)}"
        # Not filelock: its lock would be released by the clean-up of a forked child too, while
        # this one lasts until the last copy of the descriptor is closed.
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._own = path, descriptor

    def leave(self) -> None:
        """Be a user no more. Under the start lock."""
        if self._own is None:
            return
        path, descriptor = self._own
        self._own = None
        path.unlink(missing_ok=True)
        os.close(descriptor)

    def forget(self) -> None:
        """Remove the lock file of a directory that nobody will use again. Under the start lock."""
        self._lock_path.unlink(missing_ok=True)

    @property
    def joined(self) -> bool:
        """Whether this process is a user through this object."""
        return self._own is not None

    def users(self) -> list[int]:
        """The process ids of the live users; files of dead ones are removed. Under the lock."""
        return [int(path.name.partition("-")[0]) for path in self._files() if not _dead(path)]

    def named(self) -> set[int]:
        """The process ids that the list names, dead ones included. Takes no lock."""
        return {int(path.name.partition("-")[0]) for path in self._files()}

    def _files(self) -> list[Path]:
        return sorted(self._users.glob("[0-9]*"))


def _dead(path: Path) -> bool:
    """Whether nobody holds the lock of a user's file, which is then removed."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
