"""Workers that are copies of the process which has collected the tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from typing import NoReturn

import pytest

from pytest_slipstream.running.workers import mailbox, process
from pytest_slipstream.running.workers.channel import Channel
from pytest_slipstream.running.workers.handle import Forked, Worker
from pytest_slipstream.running.workers.messages import Ended
from pytest_slipstream.running.workers.process import Identity
from pytest_slipstream.running.workers.worker import RunTests, work

Become = Callable[[str], None]
"""What else changes in a process that is a worker now; given its id."""


class Forking:
    """Forks workers.

    Args:
        session: pytest's, with the collected tests.
        run_tests: What a worker runs them with.
        count: How many workers there will be at once.
        testrun_uid: The run's.
        become: Called in each worker before its first test.
        end: Called in each worker after its last fixture.
        apart: Entered around each fork: what cannot be copied is let go.
        overlapping: Whether a worker has several tests in flight.
    """

    def __init__(
        self,
        session: pytest.Session,
        run_tests: RunTests,
        count: int,
        testrun_uid: str,
        become: Become,
        end: Callable[[], None],
        apart: Callable[[], contextlib.AbstractContextManager[None]],
        *,
        overlapping: bool,
    ) -> None:
        self._session = session
        self._run_tests = run_tests
        self._count = count
        self._testrun_uid = testrun_uid
        self._become = become
        self._end = end
        self._apart = apart
        self._numbers = itertools.count()
        self._overlapping = overlapping

    def start(self, others: Sequence[Worker]) -> Worker:
        """Fork one more worker."""
        identity = Identity(f"gw{next(self._numbers)}", self._count, self._testrun_uid)
        ours, theirs = Pipe()
        reading, writing = os.pipe()
        box, posting = self._mailbox()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings(), self._apart():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which were looked for
            pid = os.fork()
        worker = Worker(identity.worker_id, Forked(pid), ours, reading, box)
        if not pid:
            process.die_with(parent)
            inherited = [fd for one in (worker, *others) for fd in one.descriptors]
            self._be_worker(identity, Channel(theirs, posting), writing, inherited)
        theirs.close()
        os.close(writing)
        if posting is not None:
            posting.close()
        return worker

    def _mailbox(self) -> tuple[socket.socket, socket.socket] | tuple[None, None]:
        """None where a test's output is shown at once: it stands before the test's report."""
        return mailbox.pair() if self._session.config.getoption("capture") == "fd" else (None, None)

    def _be_worker(
        self, identity: Identity, channel: Channel, output: int, inherited: Sequence[int]
    ) -> NoReturn:
        """The child's life; it never returns into what its parent was doing."""
        status = 1
        try:
            process.detach(output, inherited)
            process.become(self._session.config, identity, output)
            self._become(identity.worker_id)
            ended = work(self._session, channel, self._run_tests, at_once=self._overlapping)
            status = self._finish(channel, ended)
        except BaseException:  # noqa: BLE001 - nobody above may see it
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _finish(self, channel: Channel, ended: Ended) -> int:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.save_coverage()
        try:
            self._end()
        finally:
            process.run_exit_handlers()
        channel.send(ended)
        return 0
