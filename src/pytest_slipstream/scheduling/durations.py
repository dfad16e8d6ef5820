"""How long tests and wider fixtures take: the samples of past runs, and what they say together.

An entry holds the newest samples of one test, five at most, and says their median, so that a slow
run moves nothing. A sample that agrees with all that are there is not kept: a suite that takes
what it took leaves the history as it was.

The invariant: merging is a union. It is commutative, associative and idempotent, so the histories
of shards, branches and machines can be merged in any order and as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

import msgspec

WINDOW = 5
SETTLED = 2
TOLERANCE_MS = 5
TOLERANCE = 0.25
EPOCH = 1_735_689_600
"""The year 2025 began, in Unix time: where the samples' minutes are counted from."""

_SIGNIFICANT = 3
_V = TypeVar("_V")
Seconds = tuple[float, float, float]
"""Set-up, call and teardown."""


class Sample(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """What one run measured. A fixture has no call. ``at`` is in minutes since `EPOCH`."""

    at: int
    call_ms: int = 0
    setup_ms: int = 0
    teardown_ms: int = 0

    @property
    def total_ms(self) -> int:
        """All phases."""
        return self.setup_ms + self.call_ms + self.teardown_ms


Samples = tuple[Sample, ...]


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one class of machines measured.

    Args:
        tests: By file, then by the rest of the node id.
        fixtures: Wider fixtures, by the node id where they are defined and their name.
    """

    tests: dict[str, dict[str, Samples]] = {}
    fixtures: dict[str, Samples] = {}

    def count(self) -> int:
        """How many tests are known."""
        return sum(map(len, self.tests.values()))


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The duration history, by machine class. A value: every change makes another."""

    machines: dict[str, Machine] = {}


def split(node_id: str) -> tuple[str, str]:
    """The file of a node id, and the rest; "" where there is none."""
    file, _, rest = node_id.partition("::")
    return (file, rest) if rest else (node_id, "")


def join(file: str, rest: str) -> str:
    """The node id that `split` took apart."""
    return f"{file}::{rest}" if rest else file


def by_file(node_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Node ids as `split` takes them apart, in order; what no file can hold is escaped."""
    files: dict[str, list[str]] = {}
    for node_id in node_ids:
        file, rest = split(node_id.encode(errors="backslashreplace").decode())
        files.setdefault(file, []).append(rest)
    return {file: tuple(rests) for file, rests in files.items()}


def sample(at: float, seconds: Seconds) -> Sample:
    """A measurement as it is kept: milliseconds of three significant digits.

    Args:
        at: Unix time.
        seconds: Of each phase.
    """
    set_up, call, teardown = map(_rounded_ms, seconds)
    return Sample(max(0, int(at - EPOCH) // 60), call, set_up, teardown)


def _rounded_ms(seconds: float) -> int:
    milliseconds = max(0, round(seconds * 1000))
    return round(milliseconds, min(0, _SIGNIFICANT - len(str(milliseconds))))


def newest(samples: Iterable[Sample]) -> Samples:
    """The window: the newest of all that are given, each once, oldest first."""
    return tuple(sorted(set(samples))[-WINDOW:])


def noted(samples: Samples, new: Sample) -> Samples:
    """An entry after one more run."""
    if len(samples) >= SETTLED:
        known_ms = [old.setup_ms + old.call_ms + old.teardown_ms for old in samples]
        if _agree(min(known_ms), new.total_ms) and _agree(max(known_ms), new.total_ms):
            return samples
    return newest((*samples, new))


def _agree(one_ms: int, other_ms: int) -> bool:
    return abs(one_ms - other_ms) <= max(TOLERANCE_MS, TOLERANCE * max(one_ms, other_ms))


def median(values: Collection[float]) -> float:
    """Of two in the middle the smaller. The module ``statistics`` takes long to import."""
    return sorted(values)[(len(values) - 1) // 2]


def typical(samples: Samples) -> Sample:
    """The sample with the median of all phases together; of two in the middle, the shorter."""
    return sorted(samples, key=lambda one: (one.total_ms, one))[(len(samples) - 1) // 2]


def recorded(
    history: History,
    machine: str,
    tests: Mapping[str, Sample],
    fixtures: Mapping[str, Sample],
) -> History:
    """The history after a run.

    Args:
        history: Before.
        machine: The class of the machine that ran.
        tests: What each test took, by node id.
        fixtures: What each wider fixture took, by its key.
    """
    before = history.machines.get(machine, Machine())
    known = {file: dict(entries) for file, entries in before.tests.items()}
    for node_id, new in tests.items():
        file, rest = split(node_id)
        entries = known.setdefault(file, {})
        entries[rest] = noted(entries.get(rest, ()), new)
    costs = dict(before.fixtures)
    for key, new in fixtures.items():
        costs[key] = noted(costs.get(key, ()), new)
    return History({**history.machines, machine: Machine(known, costs)})


def merged(one: History, other: History) -> History:
    """All that either knows."""

    def machines(a: Machine, b: Machine) -> Machine:
        return Machine(
            _joined(a.tests, b.tests, lambda x, y: _joined(x, y, _union)),
            _joined(a.fixtures, b.fixtures, _union),
        )

    return History(_joined(one.machines, other.machines, machines))


def _union(one: Samples, other: Samples) -> Samples:
    return one if one == other else newest((*one, *other))


def _joined(
    one: Mapping[str, _V], other: Mapping[str, _V], both: Callable[[_V, _V], _V]
) -> dict[str, _V]:
    joined = dict(one)
    for key, value in other.items():
        joined[key] = both(joined[key], value) if key in joined else value
    return joined


def pruned(history: History, node_ids: Collection[str], fixtures: Collection[str]) -> History:
    """Without the tests and the fixtures that are gone."""
    machines = {}
    for name, machine in history.machines.items():
        left = {
            file: {rest: entry for rest, entry in entries.items() if join(file, rest) in node_ids}
            for file, entries in machine.tests.items()
        }
        machines[name] = Machine(
            {file: entries for file, entries in left.items() if entries},
            {key: entry for key, entry in machine.fixtures.items() if key in fixtures},
        )
    return History(machines)
