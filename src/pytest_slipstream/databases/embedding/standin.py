"""An embedded server that stands in for the suite's own, for one run and all its processes.

It is as a new installation is: what a first connection asks for is made, a role and its database,
once in the run. What the suite drops afterwards is gone. The invariant: whether a connection is
moved depends on the server that it names alone, and all processes of the run agree on that.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock

from pytest_slipstream import events
from pytest_slipstream.databases import naming, servers
from pytest_slipstream.databases.embedding.targets import Target, server_name
from pytest_slipstream.databases.engines.protocol import Address, Progress
from pytest_slipstream.databases.servers import directories
from pytest_slipstream.settings import DatabaseSettings
from pytest_slipstream.settings.embed_verdicts import Embedded

if TYPE_CHECKING:
    from pytest_slipstream.databases.embedding.accounts import Accounts

_STATE = "standin.json"
# PostgreSQL; MySQL; MySQL to who may not know whether it is there.
_SAYS_MISSING = re.compile(r"does not exist|Unknown database|to database")


class State(msgspec.Struct):
    """What the processes of a run know together. ``server``: the one that was meant first."""

    server: str = ""
    roles: list[str] = []
    databases: list[str] = []


class StandIn:
    """One process's way to it.

    Args:
        engine: The product.
        meant: What the option says of it.
        cache_dir: Where embedded servers live.
        testrun_uid: The run's.
        progress: Told that a server starts.
    """

    def __init__(
        self,
        engine: str,
        meant: Sequence[Embedded],
        *,
        cache_dir: Path,
        testrun_uid: str,
        progress: Progress,
    ) -> None:
        self.engine = engine
        self._settings = DatabaseSettings(engine=engine, tcp=True)  # type: ignore[arg-type]
        self._server = servers.embedded_of(self._settings, cache_dir=cache_dir, run=testrun_uid)
        self._meant = {server_name(engine, one.host, one.port) for one in meant if one.host}
        self._progress = progress
        self.own = Address(engine=engine, database="")
        """Where it is, once it is held."""
        self._own_name = ""
        self._homes = (f"{self._server.directory.parent}/", directories.short_prefix())
        self._is_opening = False
        self.is_used = False
        """Whether this process has used it."""
        self._settled: set[tuple[str, str]] = set()
        self._lock = threading.RLock()
        self._pid = 0
        self._moved: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._made: list[str] = []

    def hold(self) -> None:
        """Have it live as long as this process's run; nothing is started yet."""
        self._server.hold()
        self._pid = os.getpid()
        self.own = self._server.address(self._server.maintenance_database)
        self._own_name = server_name(self.engine, self.own.host, self.own.port)

    def close(self) -> None:
        """Let go; with its last user it ends, and all of it is removed."""
        if self._pid == os.getpid():  # a forked worker has its parent's hold
            self._server.close()

    @property
    def title(self) -> str:
        """What it is, for people."""
        return {"postgresql": "PostgreSQL", "mysql": "MariaDB/MySQL"}[self.engine]

    @property
    def named(self) -> str:
        """Which servers it stands in for, for people."""
        return ", ".join(sorted(self._meant)) or "the server that is connected to first"

    def address(self, target: Target) -> Address | None:
        """Where a connection goes; None if it goes where it says."""
        if target.database.startswith(naming.PREFIX) or target.host.startswith(self._homes):
            return None  # a slot, or a server of slipstream's
        if target.server == self._own_name:  # as the environment of a child names it
            return None if self._is_opening else self._open()
        if not self.is_meant(target.server):
            self._left[target.server] += 1
            return None
        self._moved[target.server] += 1
        return self._open()

    def is_meant(self, server: str) -> bool:
        """Whether connections to a server are moved; the first that is asked about is meant."""
        if not self.is_settled():
            with self._alone() as state:
                state.server = state.server or server
                self._meant.add(state.server)
        return server in self._meant

    def is_settled(self) -> bool:
        """Whether it is known which servers are meant: by the option, or by a first connection."""
        if not self._meant:
            with self._alone() as state:
                self._meant.update([state.server] if state.server else [])
        return bool(self._meant)

    def provide(self, target: Target, *, says: str = "", only_asks: bool = False) -> bool:
        """A connection was refused: make the role and the database, if they are new to the run.

        Args:
            target: What it asked for.
            says: Why it was refused, in the server's words; nothing where nobody has tried.
            only_asks: Whether it was made to find out whether the database is there.

        Returns:
            Whether another attempt is worth it: another process may have made it meanwhile.
        """
        key = (target.user, target.database)
        if key in self._settled:
            return False
        with self._lock, self._alone() as state:
            is_new = target.user not in state.roles
            may_miss = is_new or not says or _SAYS_MISSING.search(says) is not None
            database = may_miss and not only_asks and target.database not in state.databases
            self._made += self._accounts().provide(
                target, is_first=not state.roles, role=is_new, database=database
            )
            _add(state.roles, target.user)
            if database:
                _add(state.databases, target.database)
                self._settled.add(key)
        return True

    def opened(self, target: Target) -> None:
        """A connection was made: what it asked for is there, and is not made again."""
        key = (target.user, target.database)
        if key in self._settled:
            return
        with self._lock, self._alone() as state:
            _add(state.roles, target.user)
            _add(state.databases, target.database)
        self._settled.add(key)

    def forget(self) -> None:
        """Count anew."""
        self._moved.clear()
        self._left.clear()
        self._made = []

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell what was moved, what was made for it, and what was not moved."""
        product = self._server.label if self.is_used else self.title
        for server, times in self._moved.items():
            made, self._made = tuple(self._made), []
            emit(events.ConnectionsMoved(server=server, times=times, product=product, made=made))
        for server, times in self._left.items():
            emit(events.ConnectionsMoved(server=server, times=times))

    def _open(self) -> Address:
        with self._lock:
            if not self.is_used:
                self._is_opening = True
                try:
                    self._server.open(self._progress)
                    self.is_used = True
                finally:
                    self._is_opening = False
                    self._progress("")
            return self.own

    def _accounts(self) -> Accounts:
        from pytest_slipstream.databases.embedding.accounts import accounts

        return accounts(self._open(), self._server.client_library)

    @contextmanager
    def _alone(self) -> Generator[State, None, None]:
        """What the run knows, while no other process changes it."""
        path = self._server.directory / _STATE
        with FileLock(path.with_suffix(".lock"), thread_local=False):
            state = State()
            if path.exists():
                state = msgspec.json.decode(path.read_bytes(), type=State)
            before = msgspec.json.encode(state)
            yield state
            after = msgspec.json.encode(state)
            if after != before:
                path.write_bytes(after)


def _add(names: list[str], name: str) -> None:
    if name and name not in names:
        names.append(name)
