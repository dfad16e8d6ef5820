"""What a number of shards costs, beside what it saves.

Each machine is paid from its start on; the build waits for the one that ends last. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec

from pytest_slipstream.scheduling.shards import split
from pytest_slipstream.scheduling.suite import Suite

_MINUTE_S = 60
_STEPS = (1, 1.5)


class Offer(msgspec.Struct, frozen=True):
    """What so many shards cost.

    Args:
        shards: How many machines.
        waiting_s: Until the last machine ends, its start included.
        machine_s: What all machines take together, as it is billed.
    """

    shards: int
    waiting_s: float
    machine_s: float

    def for_a_minute_less(self, other: Offer) -> float | None:
        """Machine-minutes for each minute that is waited less than with fewer shards.

        Returns:
            None where less than a second is saved.
        """
        saved_s = other.waiting_s - self.waiting_s
        return (self.machine_s - other.machine_s) / saved_s if saved_s >= 1 else None


def offers(
    suite: Suite, counts: Iterable[int], start_s: float, *, whole_minutes: bool
) -> Iterator[Offer]:
    """The offer for each number of shards, by the split that they would run.

    Args:
        suite: What is split.
        counts: Numbers of shards.
        start_s: What a machine takes before its first test.
        whole_minutes: Whether each machine is billed by minutes that have begun.
    """
    for count in counts:
        takes_s = [start_s + seconds for seconds in split(suite, count).seconds]
        billed_s = [
            math.ceil(seconds / _MINUTE_S) * _MINUTE_S if whole_minutes else seconds
            for seconds in takes_s
        ]
        yield Offer(count, max(takes_s), math.fsum(billed_s))


def considered(most: int) -> list[int]:
    """Numbers of shards worth a look: 1, 2, 3, 4, 6, 8, 12 … and the largest."""
    numbers = {int(step * 2**power) for power in range(most.bit_length()) for step in _STEPS}
    return sorted({number for number in numbers if number < most} | {most})
