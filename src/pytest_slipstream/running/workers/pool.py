"""The parent's part: hands out atoms, makes the calls that report tests, replaces lost workers.

The invariant: each test is reported once, by the worker that ran it or, if the worker was lost
meanwhile, as crashed; what a lost worker had not begun is run by others.
"""

from __future__ import annotations

import selectors
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

from pytest_slipstream.clock import clock
from pytest_slipstream.running.interrupts import first_interrupt
from pytest_slipstream.running.workers import crashes
from pytest_slipstream.running.workers.handle import Worker
from pytest_slipstream.running.workers.messages import (
    Collected,
    Ended,
    Proceed,
    Ran,
    Started,
    Stop,
    ToParent,
    Wanted,
    Work,
)
from pytest_slipstream.running.workers.spawning import collected, difference
from pytest_slipstream.running.workers.telling import Teller
from pytest_slipstream.scheduling.atoms import Atom

GRACE_S = 10.0
_LOOK_S = 0.2
_SOON_S = 0.02
_FRUITLESS = 3

StartWorker = Callable[[Sequence[Worker]], Worker]
"""Given those that live, starts one more."""


class Atoms(Protocol):
    """Decides which worker gets which atom; workers are known by number."""

    def take(self, worker: int) -> Atom | None:
        """The next atom for a worker; None where there is none for it now."""

    def lost(self, worker: int, unfinished: Sequence[Atom]) -> None:
        """A worker is gone; this is left of the atoms that it had begun."""

    def look(self) -> bool:
        """Whether one more worker would find something."""

    @property
    def left(self) -> int:
        """How many tests are at hand and not handed out."""


class Pool:
    """Runs tests on workers.

    Args:
        session: pytest's.
        atoms: Decides who gets which atom; positions are those of ``session.items``.
        start: Starts a worker.
        teller: Makes the calls that report tests.
        write: Writes a line of a worker's output.
    """

    def __init__(
        self,
        session: pytest.Session,
        atoms: Atoms,
        start: StartWorker,
        teller: Teller,
        write: Callable[[str, str], None],
    ) -> None:
        self._session = session
        self._items = session.items
        self._atoms = atoms
        self._start_worker = start
        self._teller = teller
        self._write = write
        self._counts_failures = bool(session.config.getvalue("maxfail"))
        self._workers: dict[Worker, None] = {}
        self._selector = selectors.DefaultSelector()
        self._look_at = 0.0
        self._heard = 0
        self._patience_s = _SOON_S
        self._stopping = False
        self._fruitless = 0
        self._interrupted = False
        self._bad_end: Ended | None = None
        self._complaint = ""
        self.lost = 0
        """How many workers were lost."""

    def run(self, count: int) -> None:
        """Run tests on ``count`` workers until none is left.

        Raises:
            pytest.Session.Failed: As pytest's own loop does, when it is told to stop.
        """
        try:
            with first_interrupt(self._interrupt):
                for number in range(count):
                    self._start(number)
                while not self._interrupted and self._has_workers(count):
                    self._turn()
                if self._interrupted:
                    self._end_interrupted()
        finally:
            self._kill()
            self._selector.close()
        self._raise_as_told()

    def _start(self, number: int) -> None:
        worker = self._start_worker(list(self._workers))
        worker.number = number
        self._workers[worker] = None
        self._selector.register(worker.connection.fileno(), selectors.EVENT_READ, worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def _has_workers(self, count: int) -> bool:
        """Whether any works; where fewer than ``count`` do and there is more, one is started."""
        now = clock.seconds()
        if len(self._workers) < count and not self._stopping and now >= self._look_at:
            if self._atoms.look():
                self._start(len(self._workers))
            else:
                self._look_at = now + _LOOK_S
        return bool(self._workers)

    def _turn(self) -> None:
        """Take what the workers have to say; mailboxes are looked into less often if empty."""
        heard = self._heard
        ready = self._selector.select(self._patience_s)
        for key, _ in ready:
            worker: Worker = key.data
            if worker not in self._workers:
                continue
            if key.fd == worker.output:
                self._take_all(worker)  # what it wrote belongs to the test that it has begun
                self._show(worker)
            else:
                self._listen(worker)
        for worker in list(self._workers):
            self._take_all(worker)
        self._patience_s = _SOON_S if self._heard > heard else min(2 * self._patience_s, _LOOK_S)
        if not ready:  # another process may hold a dead worker's end of the connection
            for worker in [one for one in self._workers if one.process.poll() is not None]:
                while worker in self._workers and worker.connection.poll():
                    self._listen(worker)
                if worker in self._workers:
                    self._gone(worker)

    def _show(self, worker: Worker, *, last: bool = False) -> None:
        for line in worker.lines(last=last):
            self._write(worker.id, line)
        if worker.is_silent and worker.output in self._selector.get_map():
            self._selector.unregister(worker.output)

    def _listen(self, worker: Worker) -> None:
        try:
            worker.receive()
        except EOFError:
            self._gone(worker)
        else:
            self._take_all(worker)

    def _take_all(self, worker: Worker, *, last: bool = False) -> None:
        for message in worker.messages(last=last):
            self._heard += 1
            self._take(worker, message)

    def _take(self, worker: Worker, message: ToParent) -> None:
        if isinstance(message, Started):
            worker.begin(message.position)
        elif isinstance(message, Ran):
            if worker.box is None:
                self._show(worker, last=True)
            self._report(worker, message)
        elif isinstance(message, Wanted):
            self._give(worker)
        elif isinstance(message, Collected):
            self._compare(worker, message)
        elif isinstance(message, Ended):
            worker.ended = message
            self._note_end(message)

    def _compare(self, worker: Worker, message: Collected) -> None:
        found = difference(collected(self._session), message.node_ids)
        if found:
            self._session.shouldfail = (
                f"the worker {worker.id} has collected other tests than its parent: {found}"
            )
            self._stop()
        else:
            worker.send(Proceed())

    def _give(self, worker: Worker) -> None:
        atom = None if self._stopping else self._atoms.take(worker.number)
        if atom is not None:
            worker.give(atom)
        worker.send(Work(atom.tests if atom is not None else ()))
        self._stop_if_told()

    def _report(self, worker: Worker, ran: Ran) -> None:
        position = next(
            (one for one in worker.running if self._items[one].nodeid == ran.node_id), None
        )
        item = None if position is None else self._items[position]
        self._teller.tell(ran.calls, worker.node, item)
        if position is not None:
            worker.finish(position)
        self._stop_if_told()
        if ran.failed and self._counts_failures:
            worker.send(Stop() if self._stopping else Proceed())

    def _stop_if_told(self) -> None:
        if self._session.shouldfail or self._session.shouldstop:
            self._stop()

    def _stop(self) -> None:
        """Let no further test begin."""
        if not self._stopping:
            self._stopping = True
            for worker in self._workers:
                worker.send(Stop())

    def _note_end(self, ended: Ended) -> None:
        """A worker ended as pytest does when it is told to."""
        if ended.how == "done" or self._interrupted:
            return
        if ended.how == "failed":
            self._session.shouldfail = self._session.shouldfail or ended.text
        elif ended.how == "stopped":
            self._session.shouldstop = self._session.shouldstop or ended.text
        else:
            self._bad_end = self._bad_end or ended
        self._stop()

    # Workers that are gone.

    def _gone(self, worker: Worker) -> None:
        """A worker has closed its connection: it has ended, or it was lost."""
        status = worker.process.wait()
        self._take_all(worker, last=True)
        self._show(worker, last=True)
        self._selector.unregister(worker.connection.fileno())
        if not worker.is_silent:
            self._selector.unregister(worker.output)
        worker.close()
        del self._workers[worker]
        if worker.ended is None:
            self._lost(worker, status)

    def _lost(self, worker: Worker, status: int) -> None:
        """Report the tests that it was running, hand the others back, start another worker."""
        if self._interrupted:
            return
        self.lost += 1
        running = list(worker.running.items())
        for position, since in running:
            self._report_crash(worker, status, position, since)
        begun = [atom for atom in worker.atoms if not worker.left.keys().isdisjoint(atom.tests)]
        self._atoms.lost(worker.number, [crashes.rest(atom, worker.left) for atom in begun])
        self._stop_if_told()
        lost = f"the worker {worker.id} {crashes.ended(status)}"
        self._fruitless = 0 if running else self._fruitless + 1
        if self._fruitless >= _FRUITLESS:
            self._session.shouldfail = f"{lost} while it ran no test, as others before"
            self._stop()
        elif not running and not worker.left and worker.reported:
            self._complaint = self._complaint or f"{lost} after its last test"
        if self._atoms.left and not self._stopping:
            self._start(worker.number)

    def _report_crash(self, worker: Worker, status: int, position: int, since: float) -> None:
        item = self._items[position]
        others = [self._items[one].nodeid for one in worker.running if one != position]
        said = crashes.text(worker.id, worker.process.pid, status, others, worker.tail)
        report = crashes.report(item, said, clock.seconds() - since, clock.unix())
        self._teller.tell_crash(item, report, worker.node)
        worker.left.pop(position)

    # The end.

    def _interrupt(self) -> bool:
        """The first Ctrl-C lets fixtures be torn down, the second one does not."""
        first, self._interrupted = not self._interrupted, True
        return first

    def _end_interrupted(self) -> None:
        self._stopping = True
        for worker in self._workers:
            worker.signal(signal.SIGINT)
        until = clock.seconds() + GRACE_S
        while self._workers and clock.seconds() < until:
            self._turn()
        raise KeyboardInterrupt

    def _kill(self) -> None:
        """End those that are still there; without effect after an orderly end."""
        for worker in self._workers:
            worker.signal(signal.SIGKILL)
            worker.process.wait()
            worker.close()
        self._workers.clear()

    def _raise_as_told(self) -> None:
        if self._bad_end is not None:
            if self._bad_end.how == "exit":
                pytest.exit(self._bad_end.text, self._bad_end.code)
            if self._bad_end.how == "interrupted":
                raise KeyboardInterrupt
            raise RuntimeError(f"in a worker:\n{self._bad_end.text}")
        if self._atoms.left and not self._stopping:
            self._complaint = f"{self._atoms.left} tests were left when the last worker ended"
        self._session.shouldfail = self._session.shouldfail or self._complaint
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)
