"""A worker's end of the connection to its parent, and of the mailbox beside it.

The invariant: a worker whose parent is gone ends at the latest when it asks for tests, and so does
a process that a test has forked and let run on: it would report the same test again.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from multiprocessing.connection import Connection
from typing import Any

from pytest_slipstream.running.workers import mailbox
from pytest_slipstream.running.workers.messages import (
    Proceed,
    Stop,
    ToParent,
    Wanted,
    Work,
    decode,
    encode,
)

PARENT_GONE = 3
NOT_THE_WORKER = 1


class Channel:
    """Talks to the parent.

    Args:
        connection: To it.
        mailbox: Its writer's end, for what need not wake the parent; None where all of it must.
    """

    def __init__(
        self, connection: Connection[Any, Any], mailbox: socket.socket | None = None
    ) -> None:
        self._connection = connection
        self._mailbox = mailbox
        self._number = 0
        self._process = os.getpid()
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)
        self._stopped = False
        self._held: list[ToParent] = []

    def hold(self, message: ToParent) -> None:
        """Tell the parent together with the next message."""
        self._held.append(message)

    def send(self, message: ToParent) -> None:
        """Tell the parent, which waits for it."""
        self._send(self._encoded(message))

    def post(self, message: ToParent) -> None:
        """Tell the parent, which need not know at once."""
        data = self._encoded(message)
        if self._mailbox is None or not mailbox.post(self._mailbox, data):
            self._send(data)

    def _encoded(self, message: ToParent) -> bytes:
        self._end_if_copied()
        messages, self._held = [*self._held, message], []
        self._number += 1
        return encode(messages, self._number)

    def _send(self, data: bytes) -> None:
        # An exception of a signal's handler would leave a part of the message on its way.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGALRM))
        try:
            self._connection.send_bytes(data)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(PARENT_GONE)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def receive(self) -> Any:
        """Wait for the parent's next message."""
        try:
            _, (message,) = decode(self._connection.recv_bytes())
        except (EOFError, ConnectionResetError):
            os._exit(PARENT_GONE)
        return message

    def take(self) -> tuple[int, ...]:
        """Positions of the tests to run next; none when there are no more."""
        if self.stopped():
            return ()
        self.send(Wanted())
        return self._answer(Work).positions or ()

    def await_verdict(self) -> None:
        """A test has failed: wait until the parent knows whether the run goes on."""
        if not self._stopped:
            self._answer(Proceed)

    def stopped(self) -> bool:
        """Whether the parent has said that no further test begins."""
        self._end_if_copied()
        while not self._stopped and self._poll.poll(0):
            self._stopped = isinstance(self.receive(), Stop)
        return self._stopped

    def _end_if_copied(self) -> None:
        if os.getpid() != self._process:
            os._exit(NOT_THE_WORKER)

    def _answer(self, kind: type[Any]) -> Any:
        """The answer of a kind; an empty one when the parent says to stop."""
        message = self.receive()
        if isinstance(message, Stop):
            self._stopped = True
            return Work(())
        assert isinstance(message, kind), message
        return message
