"""``CREATE DATABASE`` and ``DROP DATABASE`` on PostgreSQL: a database changes its name instead.

One that was made ahead takes the name that is asked for; one that is dropped goes out of sight, and
is dropped by a thread. The invariant: only what the session says right before a statement decides,
and whatever goes wrong, the statement runs as it is written.
"""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.postgresql.parking import quoted
from pytest_slipstream.databases.memoising.whole.statements import (
    Create,
    Drop,
    Facts,
    looks,
    read,
)
from pytest_slipstream.databases.urls import is_local

if TYPE_CHECKING:
    from pytest_slipstream.databases.memoising.checking import Checking
    from pytest_slipstream.databases.memoising.whole.server import WholeServer

_SINCE = 140000
"""The first version that counts sessions by database."""
_KNOWN_AFTER = 2
_MAINTENANCE = "postgres"


class Instead(msgspec.Struct, frozen=True):
    """What is sent in the place of a statement.

    ``done`` is called when it has worked, ``failed`` when it has not.
    """

    text: str
    done: Callable[[], None]
    failed: Callable[[], None] = lambda: None


class WholeDatabases:
    """Those of one process.

    Args:
        ledger: Counts.
        check: What compares.
    """

    def __init__(self, ledger: Ledger, check: Callable[[], Checking]) -> None:
        self._ledger = ledger
        self._check = check
        self._servers: dict[tuple[str, int, str], WholeServer] = {}
        self._seen: Counter[object] = Counter()
        self._pid = os.getpid()
        self._is_over = False
        if hasattr(os, "register_at_fork"):  # which cannot be taken back
            os.register_at_fork(before=partial(_rest, weakref.ref(self)))

    def read(self, text: str) -> Create | Drop | None:
        """A statement that may be replaced; whoever looks at databases finds only those there are.

        Args:
            text: A statement of the application that may be about databases.
        """
        found = read(text)
        if self._is_over:
            return None
        if found is None and looks(text):
            for server in self._own().values():
                server.flush()
        return found

    def instead(self, statement: Create | Drop, facts: Facts, where: Address) -> Instead | None:
        """What to send.

        Args:
            statement: What `read` has read.
            facts: The answer to its question, by the same session.
            where: How the application reached the session.

        Returns:
            None where the statement is sent as it is written.
        """
        began = clock.seconds()
        try:
            self._refuse(statement, facts, where)
            server = self._server(where)
            if isinstance(statement, Drop):
                return self._hide(statement, facts, server, began)
            return self._rename(statement, facts, server, began)
        except UnknownResultError as unknown:
            self._ledger.as_written(statement.label, str(unknown))
            return None

    def rest(self) -> None:
        """Have no threads: a process that forks must not have any."""
        for server in self._own().values():
            server.rest()

    def leave(self) -> None:
        """Drop all that is slipstream's; from now on everything runs as it is written."""
        self._is_over = True
        servers, self._servers = self._own(), {}
        for server in servers.values():
            server.end()
            if server.problem is not None:
                self._ledger.as_written(Drop.label, server.problem)

    def _own(self) -> dict[tuple[str, int, str], WholeServer]:
        """A forked child has its parent's servers, and not its threads."""
        if self._pid != os.getpid():
            self._pid, self._servers = os.getpid(), {}
        return self._servers

    def _server(self, where: Address) -> WholeServer:
        # Here, since most who import a driver never come so far.
        from pytest_slipstream.databases.memoising.whole.server import WholeServer

        key = (where.host, where.port, where.user)
        own = self._own()
        if key not in own:
            own[key] = WholeServer(msgspec.structs.replace(where, database=_MAINTENANCE))
        return own[key]

    def _refuse(self, statement: Create | Drop, facts: Facts, where: Address) -> None:
        named = statement.template if isinstance(statement, Create) else statement.name
        if not (facts.server is None or is_local(where.host) or is_local(_host(facts.server))):
            raise UnknownResultError("a server on another machine")
        if facts.version < _SINCE or not facts.counts:
            raise UnknownResultError("a server that does not count sessions")
        if not facts.is_unsafe:
            raise UnknownResultError(
                "a server that syncs to its disk (fsync), to which one made ahead is no gain; "
                "`--slipstream-embed postgresql` has one that does not"
            )
        if find_spec("psycopg") is None:
            raise UnknownResultError("psycopg, which is not installed")
        if not (facts.itself and facts.may_create):
            raise UnknownResultError("a session that acts as another role, or may not create any")
        if named == _MAINTENANCE:
            raise UnknownResultError(f"the database {_MAINTENANCE}")
        if isinstance(statement, Create) and statement.has_owner and not facts.is_superuser:
            raise UnknownResultError("another owner, by a role that is no superuser")

    def _rename(
        self, create: Create, facts: Facts, server: WholeServer, began: float
    ) -> Instead | None:
        if facts.state is None:  # it is not there, or somebody is in it: the server says which
            return None
        key = (create.template, create.options)
        self._seen[key] += 1
        spare = server.take(create, f"{facts.since} {facts.state}")

        def made() -> None:
            self._made(create, began)
            if self._seen[key] >= _KNOWN_AFTER:
                server.want(create, facts)

        if spare is None:
            return Instead(create.text(create.name, facts), done=made)
        try:
            if self._check().is_due(create.label):
                self._compare(create, facts, server, spare.name)
        except BaseException:
            server.drop(spare.name)
            raise

        def renamed() -> None:
            self._ledger.replaced(create.label, clock.seconds() - began)
            server.want(create, facts)

        text = f"ALTER DATABASE {quoted(spare.name)} RENAME TO {quoted(create.name)}"
        back = partial(server.give_back, create, spare)
        return Instead(text, done=renamed, failed=back)

    def _hide(self, drop: Drop, facts: Facts, server: WholeServer, began: float) -> Instead | None:
        if not facts.state or not server.has_room():
            return None  # the server says what is in the way; or there are enough to drop
        self._seen[drop.label] += 1
        if self._seen[drop.label] <= _KNOWN_AFTER:
            made = partial(self._made, drop, began)
            return Instead(drop.text, done=made)
        hidden = server.new_name()

        def done() -> None:
            self._ledger.replaced(drop.label, clock.seconds() - began)
            server.drop(hidden)

        text = f"ALTER DATABASE {quoted(drop.name)} RENAME TO {quoted(hidden)}"
        return Instead(text, done=done)

    def _made(self, statement: Create | Drop, began: float) -> None:
        self._ledger.made(statement.label, clock.seconds() - began)

    def _compare(self, create: Create, facts: Facts, server: WholeServer, spare: str) -> None:
        """Hold a database that was made ahead to one that is made now."""
        from pytest_slipstream.databases.engines.postgresql import content

        name = server.new_name()
        server.make(create.text(name, facts))
        right, restored = (content.digest(server.at(one)) for one in (name, spare))
        server.drop(name)
        self._check().compare(create.label, right, restored)


def _rest(whole: weakref.ref[WholeDatabases]) -> None:
    if (found := whole()) is not None:
        found.rest()


def _host(address: str) -> str:
    return address.partition("/")[0]
