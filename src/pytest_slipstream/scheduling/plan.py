"""Longest processing time first, with fixtures: which worker runs which atoms, in which order.

Graham's rule (R. L. Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl. Math. 17,
1969): take the longest atom first and give it to the worker that would end it soonest. Without
fixtures the last worker ends within 4/3 - 1/(3m) of the best possible for these atoms and m
workers. A worker that has set a fixture up has it for nothing.

Atoms of one family, a file or what shares a fixture, are given away together first, and moved one
by one only to balance: what is not known of a file, such as a fixture never measured, is then
paid once. Where that balances worse than Graham's rule for single atoms, the rule decides.

The invariant: the same atoms give the same plan, and every atom is in it once.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from pytest_slipstream.scheduling.atoms import Atom
from pytest_slipstream.scheduling.suite import Suite

NEARLY = 1.01
"""Families stay together if the last worker then ends so near to the lower bound."""


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
    families: dict[str, list[int]] = {}
    for position, atom in enumerate(atoms):
        families.setdefault(atom.family, []).append(position)
    together = _Loads(suite, atoms, workers)
    together.give(families.values())
    together.balance()
    if together.makespan_s > NEARLY * _lower_bound(suite, atoms, workers):
        alone = _Loads(suite, atoms, workers)
        alone.give([position] for position in range(len(atoms)))
        if alone.makespan_s < together.makespan_s:
            return alone.plan()
    return together.plan()


def _lower_bound(suite: Suite, atoms: Sequence[Atom], workers: int) -> float:
    fixtures = frozenset[str]().union(*(atom.fixtures for atom in atoms))
    total_s = sum(atom.seconds for atom in atoms) + suite.fixture_seconds(fixtures)
    return max(
        total_s / workers,
        max((atom.seconds + suite.fixture_seconds(atom.fixtures) for atom in atoms), default=0.0),
    )


class _Loads:
    """What the workers have so far."""

    def __init__(self, suite: Suite, atoms: Sequence[Atom], workers: int) -> None:
        self._suite = suite
        self._atoms = atoms
        self._seconds = [0.0] * workers
        self._queues: list[list[int]] = [[] for _ in range(workers)]
        self._needs: list[Counter[str]] = [Counter() for _ in range(workers)]
        self._families: list[Counter[str]] = [Counter() for _ in range(workers)]

    @property
    def makespan_s(self) -> float:
        return max(self._seconds)

    def plan(self) -> Plan:
        """Long atoms are begun first, but with their family; urgency costs no balance.

        Of atoms that are expected to take as long, every second worker begins with its last: where
        nothing is known, slow tests that stand together at either end of the suite are begun soon.
        """
        queues = []
        for worker, queue in enumerate(self._queues):
            families: dict[str, list[int]] = {}
            for position in sorted(queue, reverse=worker % 2 == 1):
                families.setdefault(self._atoms[position].family, []).append(position)
            for family in families.values():
                family.sort(key=lambda n: -self._atoms[n].seconds)
            longest_first = sorted(families.values(), key=lambda f: -self._atoms[f[0]].seconds)
            ordered = [position for family in longest_first for position in family]
            queues.append(tuple(sorted(ordered, key=lambda n: not self._atoms[n].urgent)))
        return Plan(tuple(queues), tuple(self._seconds))

    def give(self, bundles: Iterable[Sequence[int]]) -> None:
        """Give bundles of atoms away, the longest first."""
        sized = [
            (sum(self._atoms[n].seconds for n in bundle), self._fixtures(bundle), bundle)
            for bundle in bundles
        ]
        sized.sort(key=lambda one: -(one[0] + self._suite.fixture_seconds(one[1])))
        holders: dict[str, list[int]] = {}
        heap = [(0.0, worker) for worker in range(len(self._seconds))]
        for seconds, fixtures, bundle in sized:
            while heap[0][0] != self._seconds[heap[0][1]]:
                heapq.heappop(heap)  # what that worker had before
            candidates = {heap[0][1]}.union(*(holders.get(key, ()) for key in fixtures))
            ends = {n: self._seconds[n] + seconds + self._new(n, fixtures) for n in candidates}
            worker = min(candidates, key=lambda n: (ends[n], n))
            for key in fixtures:
                if not self._needs[worker][key]:
                    holders.setdefault(key, []).append(worker)
            for position in bundle:
                self._put(worker, position)
            heapq.heappush(heap, (self._seconds[worker], worker))

    def balance(self) -> None:
        """Move atoms from the worker that ends last to the one that ends first, while it helps."""
        for _ in self._atoms:
            last = max(range(len(self._seconds)), key=self._seconds.__getitem__)
            first = min(range(len(self._seconds)), key=self._seconds.__getitem__)
            position = self._to_move(last, first)
            if position is None:
                return
            self._take(last, position)
            self._put(first, position)

    def _to_move(self, last: int, first: int) -> int | None:
        """The atom whose move helps most; rather one whose family is there already."""
        best: tuple[bool, float, int] | None = None
        for position in self._queues[last]:
            atom = self._atoms[position]
            end = self._seconds[first] + atom.seconds + self._new(first, atom.fixtures)
            left = self._seconds[last] - atom.seconds - self._freed(last, atom.fixtures)
            after = max(end, left)
            if after < self._seconds[last] * (1 - 1e-9):
                candidate = (atom.family not in self._families[first], after, -position)
                best = candidate if best is None else min(best, candidate)
        return None if best is None else -best[2]

    def _put(self, worker: int, position: int) -> None:
        atom = self._atoms[position]
        self._seconds[worker] += atom.seconds + self._new(worker, atom.fixtures)
        self._needs[worker].update(atom.fixtures)
        self._families[worker][atom.family] += 1
        self._queues[worker].append(position)

    def _take(self, worker: int, position: int) -> None:
        atom = self._atoms[position]
        self._seconds[worker] -= atom.seconds + self._freed(worker, atom.fixtures)
        self._needs[worker] -= Counter(atom.fixtures)
        self._families[worker] -= Counter([atom.family])
        self._queues[worker].remove(position)

    def _fixtures(self, bundle: Sequence[int]) -> frozenset[str]:
        return frozenset[str]().union(*(self._atoms[n].fixtures for n in bundle))

    def _new(self, worker: int, fixtures: frozenset[str]) -> float:
        """Seconds to set up what the worker does not have."""
        needs = self._needs[worker]
        return self._suite.fixture_seconds(key for key in fixtures if not needs[key])

    def _freed(self, worker: int, fixtures: frozenset[str]) -> float:
        """Seconds of what nothing else on the worker needs."""
        needs = self._needs[worker]
        return self._suite.fixture_seconds(key for key in fixtures if needs[key] == 1)
