"""Whether workers are worth it: what a run takes in sequence and with each number of workers."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pytest_slipstream.scheduling.atoms import atoms
from pytest_slipstream.scheduling.plan import plan
from pytest_slipstream.scheduling.suite import Suite

MARGIN = 0.9
"""Workers are worth it if they take at most this part of the time without them."""

_NEARLY = 0.95


class Start(msgspec.Struct, frozen=True):
    """What having workers costs, in seconds: once, and for each of them."""

    once_s: float
    each_s: float


class Prediction(msgspec.Struct, frozen=True):
    """What a run is expected to take. No workers: in sequence."""

    workers: int
    seconds: float
    limit: str


def predict(suite: Suite, workers: int, start: Start) -> Prediction:
    """The prediction for a number of workers; with none, nothing has to be started."""
    if workers == 0:
        return Prediction(0, suite.total_s, "running one test after the other")
    started = start.once_s + start.each_s * workers
    makespan = plan(suite, atoms(suite, workers), workers).makespan_s
    longest, longest_s = suite.longest()
    if started > makespan:
        limit = "starting the workers"
    elif longest is not None and longest_s >= _NEARLY * makespan:
        limit = f"the longest test, {longest.node_id}"
    elif suite.total_s / workers < _NEARLY * makespan:
        limit = "tests that share fixtures or a group"
    else:
        limit = "the number of workers"
    return Prediction(workers, started + makespan, limit)


def fastest(predictions: Iterable[Prediction]) -> Prediction:
    """The best of them; fewer workers where more gain next to nothing."""
    ordered = sorted(predictions, key=lambda one: one.workers)
    chosen = ordered[0]
    for one in ordered[1:]:
        if one.seconds <= MARGIN * chosen.seconds:
            chosen = one
    return chosen


def described(sequence: Prediction, chosen: Prediction, unmeasured: int = 0) -> str:
    """One line for the user.

    Args:
        sequence: Without workers.
        chosen: With as many as there will be.
        unmeasured: How many tests are not in the duration history.
    """
    alone = f"in sequence {duration(sequence.seconds)}"
    if chosen.workers == 0:
        line = f"{alone}, which workers would not shorten"
    else:
        with_workers = f"--workers {chosen.workers} {duration(chosen.seconds)}"
        line = f"{alone}, {with_workers}, limited by {chosen.limit}"
    if unmeasured:
        tests = "1 test was" if unmeasured == 1 else f"{unmeasured} tests were"
        line += f"; a guess, as {tests} never measured"
    return line


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds >= 600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
