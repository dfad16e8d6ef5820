"""A worker as its parent sees it: a process, a connection, its output, and the tests it has."""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

from pytest_slipstream.clock import clock
from pytest_slipstream.running.workers import mailbox
from pytest_slipstream.running.workers.messages import (
    Ended,
    ToParent,
    ToWorker,
    decode,
    encode,
)
from pytest_slipstream.running.workers.telling import Node
from pytest_slipstream.scheduling.atoms import Atom

_TAIL = 100
_CHUNK = 1 << 16


class Process(Protocol):
    """A child process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit status once it has ended; minus the signal that ended it."""

    def wait(self) -> int:
        """The same, waiting for it."""


class Forked:
    """A child made by `os.fork`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        return self._look(os.WNOHANG)

    def wait(self) -> int:
        status = self._look(0)
        assert status is not None
        return status

    def _look(self, options: int) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status


class Worker:
    """One worker.

    Args:
        worker_id: As reports name it.
        process: Its process.
        connection: To it.
        output: The file descriptor on which its stdout and stderr arrive.
        box: The reader's end of its mailbox, if it has one.
    """

    def __init__(
        self,
        worker_id: str,
        process: Process,
        connection: Connection[Any, Any],
        output: int,
        box: socket.socket | None = None,
    ) -> None:
        self.id = worker_id
        self.number = 0
        self.process = process
        self.connection = connection
        self.output = output
        self.box = box
        self._heard = self._surely = 0
        self._early: dict[int, list[ToParent]] = {}
        self.node = Node(worker_id)
        self.atoms: list[Atom] = []
        self.left: dict[int, None] = {}
        """Positions of tests that it was given and has not reported, in order."""
        self.running: dict[int, float] = {}
        """Those that it has begun, and when."""
        self.reported = 0
        self.ended: Ended | None = None
        self.tail: deque[str] = deque(maxlen=_TAIL)
        """The last lines that it wrote since it began a test."""
        self.is_silent = False
        """Nothing more can come: it has closed its output."""
        self._partial = bytearray()  # a line may be long: it must not be copied for each piece
        os.set_blocking(output, False)

    def send(self, message: ToWorker) -> None:
        """Tell it; one that is gone is noticed elsewhere."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(encode([message]))

    def receive(self) -> None:
        """Take the next message from the connection, which has one; `messages` yields it.

        Raises:
            EOFError: The worker has closed it, maybe in the middle of the message.
        """
        try:
            data = self.connection.recv_bytes()
        except OSError as error:
            raise EOFError from error
        self._surely = self._note(data)

    def messages(self, *, last: bool = False) -> Iterator[ToParent]:
        """What it has said since, in the order in which it did; with ``last`` no more will come.

        Where a number is missing, its message is on the other way, unless a later one came by the
        connection: then an exception took its place, such as Ctrl-C.
        """
        if self.box is not None:
            for data in mailbox.posted(self.box):
                self._note(data)
        while self._early and (last or min(self._early) <= max(self._heard + 1, self._surely)):
            self._heard = min(self._early)
            yield from self._early.pop(self._heard)

    def _note(self, data: bytes) -> int:
        number, messages = decode(data)
        self._early[number] = messages
        return number

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)

    def give(self, atom: Atom) -> None:
        """It has this atom from now on."""
        self.atoms.append(atom)
        self.left.update(dict.fromkeys(atom.tests))

    def begin(self, position: int) -> None:
        """It has begun a test."""
        if not self.running:
            self.tail.clear()
        self.running[position] = clock.seconds()

    def finish(self, position: int) -> None:
        """It has reported a test."""
        self.running.pop(position, None)
        self.left.pop(position, None)
        self.reported += 1
        self.atoms = [atom for atom in self.atoms if not self.left.keys().isdisjoint(atom.tests)]

    def lines(self, *, last: bool = False) -> Iterator[str]:
        """The whole lines that it has written since; with ``last`` also one that is not whole."""
        with suppress(BlockingIOError):
            while data := os.read(self.output, _CHUNK):
                head, ended, rest = data.rpartition(b"\n")
                self._partial += head
                if ended:
                    whole, self._partial = self._partial.split(b"\n"), bytearray()
                    yield from map(self._noted, whole)
                self._partial += rest
            self.is_silent = True
        if last and self._partial:
            line, self._partial = self._partial, bytearray()
            yield self._noted(line)

    def _noted(self, line: bytearray) -> str:
        text = line.decode(errors="replace")
        self.tail.append(text)
        return text

    def close(self) -> None:
        """Let go of what leads to it."""
        self.connection.close()
        os.close(self.output)
        if self.box is not None:
            self.box.close()

    @property
    def descriptors(self) -> list[int]:
        """The file descriptors that lead to it."""
        box = [] if self.box is None else [self.box.fileno()]
        return [self.connection.fileno(), self.output, *box]
