"""Which session a connection of the application speaks through: the test's, or one of its own.

The invariant: while a `rollback` test runs it is the test's, unless the connection is within a
transaction that it began before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any

from pytest_slipstream.databases.routing.drivers.asyncpg_session import Encrypted, Session
from pytest_slipstream.databases.routing.joining import Joining
from pytest_slipstream.databases.routing.physical import TestConnection

_WITHOUT_EFFECT = ("application_name", "client_encoding")

Open = Callable[[], Awaitable[Session]]


class Route:
    """The sessions of one connection of the application.

    Args:
        joining: The turns of the database.
        open_session: Opens a session as the application's connect call would.
    """

    def __init__(self, joining: Joining, open_session: Open) -> None:
        self.joining = joining
        self.key: tuple[Hashable, ...] | None = None
        self.connection: TestConnection | None = None
        """The test's, if the session that was found last is its session."""
        self._open_session = open_session
        self._generation = joining.generation
        self._own: Session | None = None

    def start(self, parameters: Mapping[str, str]) -> None:
        """The connection's parameters: those that have an effect, it shares with the test's."""
        kept = sorted(item for item in parameters.items() if item[0] not in _WITHOUT_EFFECT)
        self.key = ("asyncpg", *kept)

    def ready(self) -> Session | None:
        """The session for the next request; None while it has to be opened."""
        joining = self.joining
        if self._own is not None and self._generation != joining.generation:
            self.close()  # the slot was made anew, and the server has ended it
        self._generation = joining.generation
        self.connection = None
        if self._own is not None and (self._own.status != b"I" or not joining.active):
            return self._own
        if joining.active:
            self.connection = joining.find(self.key)
            if self.connection is not None and not session_of(self.connection).open:
                joining.give_up("the server ended the test's connection")
        return None if self.connection is None else session_of(self.connection)

    async def find(self) -> None:
        """Open the session that is missing, or begin the turn on one that was kept."""
        joining = self.joining
        if self.ready() is not None:
            return
        if not joining.active:
            self._own = await self._open_session()
            return
        connection = joining.kept(self.key)
        if connection is None:
            try:
                session = await self._open_session()
            except Encrypted:
                joining.give_up("its connections are encrypted (TLS)")
                raise
            if not joining.active or joining.current is not None:  # meanwhile
                session.close()
                return
            connection = TestConnection(self.key, session, joining.engine)
        session_of(connection).begin()
        joining.adopt(connection)

    def status(self, who: Hashable) -> bytes:
        """Of the application's transaction: ``I``, ``T`` or ``E``, as the server would say it."""
        connection = self.connection
        if connection is None:
            return self._own.status if self._own is not None else b"I"
        if not connection.transactions.is_open(who):
            return b"I"
        aborted = connection.physical.is_aborted()
        return b"E" if connection.transactions.is_doomed(who, aborted=aborted) else b"T"

    def close(self) -> None:
        """End the session of its own."""
        own, self._own = self._own, None
        if own is not None:
            own.close()


def session_of(connection: TestConnection) -> Session:
    """The session of a test's connection that asyncpg opened."""
    physical: Any = connection.physical
    assert isinstance(physical, Session)
    return physical
