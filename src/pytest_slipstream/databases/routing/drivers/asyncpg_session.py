"""A PostgreSQL session whose socket belongs to no event loop.

asyncpg opens it; then its socket is taken over, so that connections of the application on any event
loop can speak through it, one request at a time, and the hooks between two tests without one. The
invariant: whoever holds the session has it until the server is ready again, and nobody else's
request comes between.
"""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from pytest_slipstream.databases.routing.drivers import postgresql_messages as messages
from pytest_slipstream.databases.routing.uncontained import Uncontained

_PATIENCE_S = 30.0
_PARAMETERS = (
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "scram_iterations",
    "search_path",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
)


_CHECK = (
    "SAVEPOINT slipstream_check",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "ROLLBACK TO SAVEPOINT slipstream_check",
    "RELEASE SAVEPOINT slipstream_check",
)


class Encrypted(Exception):  # noqa: N818 - not an error: an answer
    """The session is encrypted: its socket alone is not enough to speak through it."""


class Refused(Exception):  # noqa: N818 - not an error: an answer
    """The server refused a statement of slipstream's own; ``answer`` is its message."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(messages.text_of_error(answer))
        self.answer = answer


class Speaker(Protocol):
    """A connection of the application."""

    loop: asyncio.AbstractEventLoop

    @property
    def is_speaking(self) -> bool:
        """Whether it has sent a request that is not answered yet."""

    def granted(self) -> None:
        """It has the session now; called on its own event loop."""


class Session:
    """One session of the server.

    Args:
        connection: asyncpg's, just opened; it is of no use afterwards.
    """

    def __init__(self, connection: Any) -> None:
        transport, settings = connection._transport, connection.get_settings()
        if transport.get_extra_info("ssl_object") is not None:
            raise Encrypted
        self._socket: socket.socket = socket.fromfd(
            transport.get_extra_info("socket").fileno(),
            transport.get_extra_info("socket").family,
            socket.SOCK_STREAM,
        )
        self._socket.setblocking(False)
        self._peer = self._socket.getpeername()
        self._key = (connection.get_server_pid(), connection._protocol.backend_secret)
        parameters = {name: getattr(settings, name, None) for name in _PARAMETERS}
        self.welcome = messages.welcome(
            {name: value for name, value in parameters.items() if value is not None}, *self._key
        )
        transport.abort()  # closes its own descriptor of the socket, without a word to the server
        self.status = b"I"
        self.prepared: set[bytes] = set()
        self.applied: tuple[str, ...] | None = ()
        """The settings that were made in it; None when that is not known."""
        self.received = bytearray()
        self.open = True
        self.defers = False
        self._guard = threading.Lock()
        self._holder: Speaker | None = None
        self._waiting: deque[Speaker] = deque()

    # One request at a time

    @property
    def holder(self) -> Speaker | None:
        """Whose request the server works on."""
        return self._holder

    def take(self, speaker: Speaker) -> bool:
        """Hold the session, at once or when `Speaker.granted` is called."""
        with self._guard:
            if self._holder is None:
                self._holder = speaker
                return True
            self._waiting.append(speaker)
            return False

    def withdraw(self, speaker: Speaker) -> bool:
        """Wait no more; False when it did not wait."""
        with self._guard, suppress(ValueError):
            self._waiting.remove(speaker)
            return True
        return False

    def leave(self) -> None:
        """The server is ready: the next one's turn."""
        with self._guard:
            while self._waiting:
                self._holder = self._waiting.popleft()
                with suppress(RuntimeError):  # its event loop is closed
                    self._holder.loop.call_soon_threadsafe(self._holder.granted)
                    return
            self._holder = None

    # The socket, for the holder

    def fileno(self) -> int:
        """For the event loop of the holder."""
        return self._socket.fileno()

    def send(self, data: memoryview) -> int:
        """Send what the socket takes now; how many bytes that was."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def receive(self) -> list[bytes]:
        """The messages that have arrived.

        Raises:
            ConnectionError: The server has ended the session.
        """
        try:
            data = self._socket.recv(262144)
        except (BlockingIOError, InterruptedError):
            return []
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self.received += data
        found = messages.answers(self.received)
        for each in found:
            if each[:1] == messages.READY:
                self.status = each[5:6]
        return found

    def run(self, *texts: str) -> bool:
        """Run statements and wait until they are done; for the holder, or when there is none.

        Only for statements that wait for nobody: the event loop stands still meanwhile.

        Returns:
            Whether they gave rows.

        Raises:
            OSError: The session is lost.
            Refused: The server refused.
        """
        self._wait_and_send(messages.query(messages.join(texts)))
        failed, rows = b"", False
        while True:
            self._wait(select.POLLIN)
            for each in self.receive():
                rows |= each[:1] == messages.ROW
                if each[:1] == messages.ERROR:
                    failed = each
                elif each[:1] == messages.READY:
                    if failed:
                        raise Refused(failed)
                    return rows

    def _wait_and_send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._wait(select.POLLOUT)
            rest = rest[self.send(rest) :]

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(_PATIENCE_S * 1000):
            raise TimeoutError(f"the server did not answer within {_PATIENCE_S} s")

    def cancel(self) -> None:
        """Ask the server to end what it does for this session."""
        with suppress(OSError), socket.socket(self._socket.family, socket.SOCK_STREAM) as other:
            other.settimeout(_PATIENCE_S)
            other.connect(self._peer)
            other.sendall(messages.cancel_request(*self._key))
            other.recv(1)

    # The test's connection, for the hooks: see `joining.Physical`

    def begin(self) -> None:
        """Begin the transaction of a turn."""
        self.run("BEGIN")
        self.applied = ()  # those of the turn before went with its transaction
        self.defers = self.run("SELECT FROM pg_constraint WHERE condeferrable LIMIT 1")

    def check_deferred(self) -> None:
        """Do what the server does at a commit.

        Raises:
            Refused: A deferred constraint is violated; the transaction has failed.
        """
        if self.defers:
            self.run(*_CHECK)

    def violation(self) -> str | None:
        """What a deferred constraint has to say at the test's end."""
        if self._holder is None and self.open and self.status == b"T":
            try:
                self.check_deferred()
            except Refused as refusal:
                return str(refusal)
            except OSError:
                return None
        return None

    def roll_back(self) -> None:
        """End the transaction of the turn."""
        if self._holder is not None:  # the test left a statement running
            self.cancel()
            self.close()
        elif self.open:
            try:
                self.run("ROLLBACK", "SELECT pg_advisory_unlock_all()")
            except (OSError, Refused):
                self.close()

    def commit(self) -> None:
        """Commit the transaction of the turn."""
        if not self.open:
            raise Uncontained("its connection is lost")
        if self._holder is not None and self._holder.is_speaking:
            raise Uncontained("a statement is running")
        try:
            self.run("COMMIT")
        except (OSError, Refused) as error:
            raise Uncontained(f"the commit fails: {error}") from error

    def is_usable(self) -> bool:
        """Whether the session lives, and nothing goes on in it."""
        return self.open and self._holder is None and self.status == b"I"

    def is_aborted(self) -> bool:
        """Whether an error has ended the transaction."""
        return self.status == b"E"

    def close(self) -> None:
        """End the session."""
        holder = self._holder if self._holder is not None and self._holder.is_speaking else None
        with suppress(OSError):
            self._socket.send(messages.message(b"X"))
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.open = False
        if holder is not None and holder.loop.is_running():
            return  # it is woken up by the shutdown, and closes the socket
        if holder is not None and not holder.loop.is_closed() and self.fileno() >= 0:
            holder.loop.remove_reader(self)
            holder.loop.remove_writer(self)
        self._socket.close()


async def open_session(
    connect: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Session:
    """Open a session as the application would.

    Args:
        connect: asyncpg's own.
        args: Of the application's call.
        kwargs: Likewise.

    Raises:
        Encrypted: It speaks TLS.
    """
    plain = {k: v for k, v in kwargs.items() if k not in ("connection_class", "record_class")}
    connection = await connect(*args, **plain)
    try:
        session = Session(connection)
    except Encrypted:
        connection.terminate()
        raise
    while not connection.is_closed():  # it learns of its loss when the event loop goes on
        await asyncio.sleep(0)
    return session
