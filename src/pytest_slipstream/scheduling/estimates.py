"""What each test is expected to take: what it took, or what its neighbours take.

The invariant: an answer depends on the history and on the machine class that is asked for, never
on the machine that asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from pytest_slipstream.scheduling.durations import (
    History,
    Machine,
    Samples,
    join,
    median,
    split,
    typical,
)

UNKNOWN_S = 0.1
"""A test of which nothing is known, nor of any other."""

OVERHEAD_S = 0.001
"""What pytest itself takes for a test, beside its phases."""


class Estimates:
    """Seconds for each test and each wider fixture.

    Args:
        history: What past runs took.
        machine: The class of machines to ask first; None for an answer that is the same on all:
            the class that knows most tests first.
    """

    def __init__(self, history: History, machine: str | None = None) -> None:
        def rank(name: str) -> tuple[bool, int, str]:
            return (name != machine, -history.machines[name].count(), name)

        self._machines: list[Machine] = [
            history.machines[name] for name in sorted(history.machines, key=rank)
        ]

    def knows(self, node_id: str) -> bool:
        """Whether the test itself was measured."""
        return bool(self._samples(*split(node_id)))

    def test(self, node_id: str) -> float:
        """What a test takes, without its wider fixtures, in seconds."""
        file, rest = split(node_id)
        if samples := self._samples(file, rest):
            return _seconds(samples) + OVERHEAD_S
        known = self._of_neighbours
        near = next((known[key] for key in _wider(file, rest) if key in known), None)
        return UNKNOWN_S if near is None else near + OVERHEAD_S

    def fixture(self, key: str) -> float | None:
        """What a wider fixture takes, set-up and teardown, in seconds; None if unknown."""
        samples = next((m.fixtures[key] for m in self._machines if key in m.fixtures), ())
        return _seconds(samples) if samples else None

    def _samples(self, file: str, rest: str) -> Samples:
        for machine in self._machines:
            if samples := machine.tests.get(file, {}).get(rest):
                return samples
        return ()

    @cached_property
    def _of_neighbours(self) -> dict[str, float]:
        """The median of the tests in each function, class, file and directory, and of all."""
        known: dict[str, list[float]] = {}
        seen: set[str] = set()
        for machine in self._machines:
            for file, entries in machine.tests.items():
                for rest, samples in entries.items():
                    if (node_id := join(file, rest)) in seen or not samples:
                        continue
                    seen.add(node_id)
                    for key in _wider(file, rest):
                        known.setdefault(key, []).append(_seconds(samples))
        return {key: median(seconds) for key, seconds in known.items()}


def _seconds(samples: Samples) -> float:
    return typical(samples).total_ms / 1000


def _wider(file: str, rest: str) -> Iterator[str]:
    """What a test belongs to, nearest first: its function, its classes, its file, directories."""
    function = rest.partition("[")[0]
    while function:
        yield f"{file}::{function}"
        function = function.rpartition("::")[0]
    while file:
        yield file
        file = file.rpartition("/")[0]
    yield ""
