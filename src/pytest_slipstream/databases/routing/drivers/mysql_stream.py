"""A test's connection of asyncmy or aiomysql: the stream that joined connections take turns on.

The invariant: whoever holds the stream has it until the answer to its command is read.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from contextlib import suppress
from typing import Any

from pytest_slipstream.databases.routing.transactions import Texts
from pytest_slipstream.databases.routing.uncontained import Uncontained

_PATIENCE_S = 30.0
_QUERY, _ERROR = b"\x03", 0xFF


class Stream:
    """The stream of one connection, on its event loop.

    Args:
        connection: The driver's own, of which only the stream is used.
        held_in: The attribute that holds its transport, or a writer with one.
    """

    def __init__(self, connection: Any, held_in: str) -> None:
        self.connection = connection
        self.broken = ""
        """Why it is of no use any more."""
        held = getattr(connection, held_in)
        self._held_in = held_in
        self._transport = getattr(held, "transport", held)
        self._loop = asyncio.get_running_loop()
        self._holder: Any = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_encrypted(self) -> bool:
        """Whether the hooks cannot speak through it, since they have no event loop."""
        return self._transport.get_extra_info("ssl_object") is not None

    @property
    def holder(self) -> Any:
        """Whose command is being carried out."""
        return self._holder

    async def take(self, who: Any) -> None:
        """Wait for the stream."""
        while self._holder is not None and self._holder is not who:
            turn = self._loop.create_future()
            self._waiting.append(turn)
            await turn
        self._holder = who

    def leave(self) -> None:
        """The answer is read: the next one's turn."""
        self._holder = None
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def run(self, texts: Texts) -> None:
        """Run statements without the event loop, when nobody holds the stream.

        Raises:
            OSError: The connection is lost.
            Uncontained: The server refused.
        """
        given = self._transport.get_extra_info("socket")
        if given is None or given.fileno() < 0:
            raise ConnectionResetError("the connection is closed")
        with socket.fromfd(given.fileno(), given.family, socket.SOCK_STREAM) as plain:
            for text in texts:
                payload = _QUERY + text.encode()
                _send(plain, len(payload).to_bytes(3, "little") + b"\0" + payload)
                size = int.from_bytes(_receive(plain, 4)[:3], "little")
                answer = _receive(plain, size)
                if answer[0] == _ERROR:
                    said = answer[9:].decode(errors="replace")
                    raise Uncontained(f"{text} failed: {said}")

    # See `joining.Physical`

    def violation(self) -> str | None:
        """InnoDB checks every constraint at once."""
        return None

    def roll_back(self) -> None:
        """End the transaction of the turn, or the connection."""
        try:
            if self.broken or self._holder is not None:
                raise ConnectionResetError("a statement is running")
            self.run(("ROLLBACK",))
        except (OSError, Uncontained):
            self.close()

    def commit(self) -> None:
        """Commit the transaction of the turn."""
        if self.broken:
            raise Uncontained("its connection is closed")
        if self._holder is not None:
            raise Uncontained("a statement is running")
        try:
            self.run(("COMMIT",))
        except OSError as error:
            raise Uncontained(f"its connection is lost: {error}") from error

    def is_usable(self) -> bool:
        """Whether its event loop goes on."""
        return not (self.broken or self._loop.is_closed() or self._transport.is_closing())

    def is_aborted(self) -> bool:
        """An error ends no transaction."""
        return False

    def close(self) -> None:
        """End the connection, also when its event loop is closed."""
        self.broken = self.broken or "it is closed"
        with suppress(RuntimeError):
            self.connection.close()
        if self._loop.is_closed() and getattr(self._transport, "_sock", None) is not None:
            self._transport._sock.close()
            self._transport._sock = None
            setattr(self.connection, self._held_in, None)


def _wait(plain: socket.socket, event: int) -> None:
    poll = select.poll()
    poll.register(plain, event)
    if not poll.poll(_PATIENCE_S * 1000):
        raise TimeoutError(f"the server did not answer within {_PATIENCE_S} s")


def _send(plain: socket.socket, data: bytes) -> None:
    while data:
        _wait(plain, select.POLLOUT)
        data = data[plain.send(data) :]


def _receive(plain: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        _wait(plain, select.POLLIN)
        more = plain.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the server closed the connection")
        data += more
    return data
