"""Longest processing time first, with fixtures: which worker runs which atoms, in which order.

Graham's rule (R. L. Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl. Math. 17,
1969): take the longest atom first and give it to the worker that would end it soonest. Without
fixtures the last worker ends within 4/3 - 1/(3m) of the best possible for these atoms and m
workers. A worker that has set a fixture up has it for nothing.

The invariant: the same atoms give the same plan, and every atom is in it once.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import msgspec

from pytest_slipstream.scheduling.atoms import Atom
from pytest_slipstream.scheduling.suite import Suite


class Plan(msgspec.Struct, frozen=True):
    """What each worker runs.

    Args:
        queues: Positions of atoms for each worker, in the order in which it runs them.
        seconds: What each worker is expected to take, fixtures included.
    """

    queues: tuple[tuple[int, ...], ...]
    seconds: tuple[float, ...]

    @property
    def makespan_s(self) -> float:
        """When the last worker ends."""
        return max(self.seconds, default=0.0)


def plan(suite: Suite, atoms: Sequence[Atom], workers: int) -> Plan:
    """Give every atom to a worker.

    Args:
        suite: What the atoms are made of.
        atoms: In any order; the order breaks ties.
        workers: How many there are.
    """
    lengths = [atom.seconds + suite.fixture_seconds(atom.fixtures) for atom in atoms]
    loads = _Loads(suite, workers)
    queues: list[list[int]] = [[] for _ in range(workers)]
    for position in sorted(range(len(atoms)), key=lambda n: -lengths[n]):
        queues[loads.give(atoms[position])].append(position)
    for queue in queues:  # the assignment stays, so that urgency does not cost balance
        queue.sort(key=lambda n: not atoms[n].urgent)
    return Plan(tuple(map(tuple, queues)), tuple(loads.seconds))


class _Loads:
    """What the workers have so far. The heap holds old loads too, which are skipped."""

    def __init__(self, suite: Suite, workers: int) -> None:
        self.seconds = [0.0] * workers
        self._suite = suite
        self._held: list[set[str]] = [set() for _ in range(workers)]
        self._holders: dict[str, list[int]] = {}
        self._heap = [(0.0, worker) for worker in range(workers)]

    def give(self, atom: Atom) -> int:
        """Add an atom to the worker that ends it soonest."""
        candidates = {self._least_loaded()}
        for key in atom.fixtures:
            candidates.update(self._holders.get(key, ()))
        ends = {worker: self._end(worker, atom) for worker in candidates}
        worker = min(candidates, key=lambda n: (ends[n], n))
        self.seconds[worker] = ends[worker]
        heapq.heappush(self._heap, (ends[worker], worker))
        for key in atom.fixtures - self._held[worker]:
            self._held[worker].add(key)
            self._holders.setdefault(key, []).append(worker)
        return worker

    def _least_loaded(self) -> int:
        while self._heap[0][0] != self.seconds[self._heap[0][1]]:
            heapq.heappop(self._heap)
        return self._heap[0][1]

    def _end(self, worker: int, atom: Atom) -> float:
        new = atom.fixtures - self._held[worker]
        return self.seconds[worker] + atom.seconds + self._suite.fixture_seconds(new)
