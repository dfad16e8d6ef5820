"""Which command runs when, and how long it will take. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """One run of one side. ``counts`` is false for a warm-up."""

    side: int
    counts: bool


def timetable(sides: int, *, warmup: int, runs: int) -> list[Turn]:
    """Warm-ups first, then the runs; with two sides, in pairs: AB, BA, AB, …

    So that a machine that gets slower, by heat or by a neighbour, slows both sides alike.
    """
    order = list(range(sides))
    turns = [Turn(side, counts=False) for _ in range(warmup) for side in order]
    for pair in range(runs):
        turns += [Turn(side, counts=True) for side in (order if pair % 2 == 0 else order[::-1])]
    return turns


def remaining_s(turns: Sequence[Turn], walls_s: Sequence[float], elapsed_s: float) -> float | None:
    """Seconds until the last turn has ended.

    Args:
        turns: All of them.
        walls_s: What those took that have ended.
        elapsed_s: How long the next one has run.

    Returns:
        None while nothing is known.
    """
    if not walls_s:
        return None
    ended = list(zip(turns, walls_s, strict=False))
    known = {
        side: statistics.median(took for turn, took in ended if turn.side == side)
        for side in {turn.side for turn, _ in ended}
    }
    typical_s = statistics.median(known.values())
    expected = [known.get(turn.side, typical_s) for turn in turns[len(walls_s) :]]
    return max(sum(expected) - elapsed_s, sum(expected[1:]))
