"""Whether past runs became slower, and since which: pure.

By Pettitt's test for a change point (A. N. Pettitt, Applied Statistics 28, 1979), which asks only
for the order of values, so that one slow run moves nothing. The invariant: what is named became
slower by a share and an amount that somebody would notice, not only by an improbable one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from pytest_slipstream.report.past import PastRun

P = 0.01
"""Of a false alarm, over all tests together."""

SHARE = 0.2
LEAST_MS = 5.0
WHOLE = 0.9
"""How much of the largest run's tests a run must have to stand for the suite."""

FEWEST = 8
"""Runs; fewer cannot tell."""


class Slower(msgspec.Struct, frozen=True):
    """Something that takes longer since a run.

    Args:
        node_id: "" for the suite: the tests that were in every whole run, together.
        since: That run's name.
    """

    node_id: str
    before_ms: float
    after_ms: float
    since: str

    @property
    def grown_ms(self) -> float:
        """By how much."""
        return self.after_ms - self.before_ms


def slower(runs: Sequence[PastRun]) -> list[Slower]:
    """The suite, if it became slower, and then the tests, those that grew most first."""
    if len(runs) < FEWEST:
        return []
    most = max(len(run.tests) for run in runs)
    whole = [run for run in runs if len(run.tests) >= WHOLE * most]
    common = set[str].intersection(*(set(run.tests) for run in whole))
    suite = [sum(run.tests[node_id] for node_id in common) for run in whole]
    found = [_found("", suite, whole, P)] if common else []
    names = sorted(set(runs[-1].tests))
    of_tests = []
    for node_id in names:
        own = [run for run in runs if node_id in run.tests]
        series = [run.tests[node_id] for run in own]
        of_tests.append(_found(node_id, series, own, P / len(names)))
    by_growth = sorted((one for one in of_tests if one), key=lambda one: -one.grown_ms)
    return [*(one for one in found if one), *by_growth]


def _found(
    node_id: str, series: Sequence[float], runs: Sequence[PastRun], p: float
) -> Slower | None:
    if len(series) < FEWEST:
        return None
    at, probability = change(series)
    before, after = _median(series[:at]), _median(series[at:])
    if probability > p or after - before < max(LEAST_MS, SHARE * before):
        return None
    return Slower(node_id, before, after, runs[at].name)


def change(series: Sequence[float]) -> tuple[int, float]:
    """Where a series changes most, and how probable so large a change is without one.

    Args:
        series: Two values at least.

    Returns:
        The first index after the change, and an upper approximation of the probability.
    """
    n = len(series)
    ranks = _ranks(series)
    so_far, at, largest = 0.0, 1, 0.0
    for t in range(1, n):
        so_far += ranks[t - 1]
        u = abs(2 * so_far - t * (n + 1))
        if u > largest:
            at, largest = t, u
    return at, min(1.0, 2 * math.exp(-6 * largest**2 / (n**3 + n**2)))


def _ranks(series: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of theirs."""
    order = sorted(range(len(series)), key=series.__getitem__)
    ranks = [0.0] * len(series)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and series[order[end]] == series[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def _median(values: Sequence[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]
