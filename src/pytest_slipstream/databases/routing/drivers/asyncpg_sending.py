"""Bytes on their way to a session, whose socket takes them when it can.

The invariant: they arrive in the order in which they were given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pytest_slipstream.databases.routing.drivers.asyncpg_session import Session


class Sending:
    """Sends from one connection of the application, to one session at a time.

    Args:
        loop: The application's event loop.
        lost: Told when the session's socket is of no use any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[OSError], None]) -> None:
        self._loop = loop
        self._lost = lost
        self._unsent = memoryview(b"")

    def send(self, session: Session, data: bytes) -> None:
        """Send, now or when the socket takes it."""
        waits = bool(self._unsent)
        self._unsent = memoryview(bytes(self._unsent) + data)
        if not waits:
            self._writable(session)

    def _writable(self, session: Session) -> None:
        waited = bool(self._unsent)
        try:
            self._unsent = self._unsent[session.send(self._unsent) :]
        except OSError as error:
            self._lost(error)
            return
        if self._unsent:
            self._loop.add_writer(session, self._writable, session)
        elif waited:
            self._loop.remove_writer(session)
