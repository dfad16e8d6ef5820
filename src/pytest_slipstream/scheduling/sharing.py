"""The atoms of a run while it runs: each worker pulls, and one that is done takes from another.

The invariant: an atom is handed out once, save when the worker that had it is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pytest_slipstream.scheduling.atoms import Atom
from pytest_slipstream.scheduling.plan import Plan
from pytest_slipstream.scheduling.suite import Suite


class Sharing:
    """Hands out a plan's atoms.

    Args:
        suite: What the atoms are made of.
        atoms: Those that the plan names.
        plan: Who begins with which.
    """

    def __init__(self, suite: Suite, atoms: Sequence[Atom], plan: Plan) -> None:
        self._suite = suite
        self._atoms = list(atoms)
        self._workers = [
            _Worker(queue, sum(atoms[n].seconds for n in queue)) for queue in plan.queues
        ]

    def take(self, worker: int) -> Atom | None:
        """The next atom for a worker.

        None when all that is left would end later with it; ask again after a worker was lost.
        """
        taker = self._workers[worker]
        giver = taker if taker.queue else self._giver(taker)
        if giver is None:
            taker.running_s = 0.0
            return None
        position = giver.queue.popleft() if giver is taker else giver.queue.pop()
        atom = self._atoms[position]
        giver.waiting_s -= atom.seconds
        taker.lost = False
        taker.held |= atom.fixtures
        taker.running_s = atom.seconds
        return atom

    def look(self) -> bool:
        """Whether one more worker would find something: never, beside those that began."""
        return False

    @property
    def left(self) -> int:
        """How many tests were not handed out, or came back."""
        return sum(len(self._atoms[n].tests) for worker in self._workers for n in worker.queue)

    def lost(self, worker: int, unfinished: Sequence[Atom] = ()) -> None:
        """A worker is gone: what it had not begun is there for the others.

        Args:
            worker: Its number, which a worker in its place may take over.
            unfinished: What is left of the atoms that it had begun.
        """
        gone = self._workers[worker]
        gone.lost, gone.running_s = True, 0.0
        gone.held.clear()
        gone.queue.extendleft(range(len(self._atoms), len(self._atoms) + len(unfinished)))
        gone.waiting_s += sum(atom.seconds for atom in unfinished)
        self._atoms += unfinished

    def _giver(self, taker: _Worker) -> _Worker | None:
        """Of the others the one with most left to begin, whose last atom would end sooner here.

        How far a running atom has come is not known: half of it is assumed.
        """
        for giver in sorted(self._workers, key=lambda one: -one.waiting_s):
            if not giver.queue:
                continue
            atom = self._atoms[giver.queue[-1]]
            there = self._suite.fixture_seconds(atom.fixtures - giver.held)
            here = self._suite.fixture_seconds(atom.fixtures - taker.held)
            before_s = giver.running_s / 2 + giver.waiting_s - atom.seconds
            if giver.lost or here <= before_s + there:
                return giver
        return None


class _Worker:
    """What one worker has: atoms not begun, the fixtures it has set up, what it runs."""

    def __init__(self, queue: Sequence[int], waiting_s: float) -> None:
        self.queue = deque(queue)
        self.waiting_s = waiting_s
        self.held: set[str] = set()
        self.running_s = 0.0
        self.lost = False
