"""A run played through with plain values: how long it takes when tests take what they take.

For choosing between plans and for measuring them; time is added up, none passes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import msgspec

from pytest_slipstream.scheduling.suite import Suite

Take = Callable[[int], Sequence[int] | None]
"""Given a worker's number, the positions of the tests it runs next; None when there are none."""


class Outcome(msgspec.Struct, frozen=True):
    """What happened.

    Args:
        ends_s: When each worker ended.
        ran: The positions of the tests that each worker ran, in order.
        fixtures_s: What setting fixtures up took on all workers together.
    """

    ends_s: tuple[float, ...]
    ran: tuple[tuple[int, ...], ...]
    fixtures_s: float

    @property
    def makespan_s(self) -> float:
        """When the last worker ended."""
        return max(self.ends_s, default=0.0)


def simulate(suite: Suite, workers: int, take: Take, *, start_s: float = 0.0) -> Outcome:
    """Let workers pull until nothing is left.

    Args:
        suite: With the seconds that tests and fixtures really take.
        workers: How many.
        take: Decides.
        start_s: When the workers begin.
    """
    ready = [(start_s, worker) for worker in range(workers)]
    ends = [start_s] * workers
    held: list[set[str]] = [set() for _ in range(workers)]
    ran: list[list[int]] = [[] for _ in range(workers)]
    fixtures_s = 0.0
    while ready:
        now, worker = heapq.heappop(ready)
        positions = take(worker)
        if positions is None:
            continue
        for position in positions:
            test = suite.tests[position]
            new = suite.fixture_seconds(key for key in test.fixtures if key not in held[worker])
            held[worker].update(test.fixtures)
            ran[worker].append(position)
            fixtures_s += new
            now += new + test.seconds
        ends[worker] = now
        heapq.heappush(ready, (now, worker))
    return Outcome(tuple(ends), tuple(map(tuple, ran)), fixtures_s)
