"""Faster, slower or inconclusive: what two measurements allow to be said. Pure.

Effects are symmetric: 0.05 means that the slower side takes 5 % longer than the faster one, so
that the verdict on B against A is the contrary of that on A against B. The invariant: faster and
slower are said only where the difference is larger than chance explains (exact Mann-Whitney test),
than runs of one and the same command differ by (A/A control), and than anybody cares about
(`LEAST_EFFECT`); and where both did the same work.
"""

from __future__ import annotations

import importlib.util
import math
import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import median
from typing import Literal

import msgspec

from pytest_slipstream.errors import MissingExtraError
from pytest_slipstream.measure.comparability import Differences
from pytest_slipstream.measure.figures import count
from pytest_slipstream.measure.values import Measurement

ALPHA = 0.05
LEAST_EFFECT = 0.05
_SPLITS = 1000
_COVERED = 0.95

Word = Literal["faster", "slower", "inconclusive", "not comparable"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of the candidate's wall time.

    Args:
        word: The verdict.
        effect: By how much the medians differ.
        p_value: How probable a difference as clear as this one is between equal commands.
        control: By how much the medians of runs of one and the same command differ here.
        because: Why it is not more than that; "" for faster and slower.
        warnings: What the reader must know besides, a sentence each.
    """

    word: Word
    effect: float
    p_value: float
    control: float
    because: str
    warnings: tuple[str, ...]


def judge(baseline: Measurement, candidate: Measurement, found: Differences) -> Verdict:
    """Judge.

    Args:
        baseline: With at least one run.
        candidate: The same.
        found: How the two differ, apart from time.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    before, after = baseline.walls_s, candidate.walls_s
    seen, limit = effect(before, after), control(before, after)
    p = p_value(before, after)
    word, because = _word(before, after, seen=seen, control=limit, p=p)
    if word in ("faster", "slower") and (obstacle := _obstacle(word, found)):
        word, because = "not comparable", obstacle
    return Verdict(
        word=word,
        effect=seen,
        p_value=p,
        control=limit,
        because=because,
        warnings=tuple(_warnings(baseline, candidate, found)),
    )


def _word(
    before: Sequence[float], after: Sequence[float], *, seen: float, control: float, p: float
) -> tuple[Word, str]:
    least = smallest_p(len(before), len(after))
    if least >= ALPHA:
        runs = f"{len(before)} and {len(after)} runs"
        return "inconclusive", f"{runs} are too few to tell any difference from chance"
    if p >= ALPHA:
        return "inconclusive", f"chance explains the difference (p = {p:.2g})"
    if seen < LEAST_EFFECT:
        return "inconclusive", f"the difference is below {LEAST_EFFECT:.0%}"
    if seen <= control:
        return (
            "inconclusive",
            f"runs of one and the same command differ by {control:.0%} here: the machine is noisy",
        )
    return ("faster" if median(after) < median(before) else "slower"), ""


def _obstacle(word: Word, found: Differences) -> str:
    """Why a difference in time says nothing; "" if it does."""
    if found.machine:
        return f"the machines differ ({'; '.join(found.machine)})"
    fewer, more = found.ran_in_baseline_only, found.ran_in_candidate_only
    if word == "faster" and fewer:
        return (
            f"{count(len(fewer), 'test')} ran to the end in the baseline only, such as {fewer[0]}"
        )
    if word == "slower" and more:
        return f"{count(len(more), 'test')} ran to the end in the candidate only, such as {more[0]}"
    return ""


def _warnings(baseline: Measurement, candidate: Measurement, found: Differences) -> Iterator[str]:
    if not interleaved(baseline, candidate):
        yield (
            "measured one after the other, so that a machine that became slower or faster "
            "meanwhile looks like a difference: `slipstream compare --baseline … --candidate …` "
            "takes them in turns"
        )
    if baseline.crowded or candidate.crowded:
        load = max(baseline.load_before, candidate.load_before)
        yield f"other programs were busy: the load was {load:g} before it began"
    yield from (f"differs: {difference}" for difference in (*found.machine, *found.setting))
    for name, side in (("baseline", baseline), ("candidate", candidate)):
        failed = sum("failed" in seen or "error" in seen for seen in side.tests.values())
        if failed:
            yield f"{name}: {count(failed, 'test')} failed, and may have taken less than it would"
        unsteady = [node_id for node_id, seen in side.tests.items() if " or " in seen]
        if unsteady:
            tests = f"{count(len(unsteady), 'test')} did not end alike in all runs"
            yield f"{name}: {tests}, such as {unsteady[0]}"
    if min(median(side.walls_s) for side in (baseline, candidate)) < 1:
        yield "runs of less than a second are mostly the start of Python and pytest"


def interleaved(baseline: Measurement, candidate: Measurement) -> bool:
    """Whether the runs were taken in turns: each two neighbours in time are one of each side."""
    order = sorted(
        [(run.started_at, "a") for run in baseline.runs]
        + [(run.started_at, "b") for run in candidate.runs]
    )
    sides = [side for _, side in order]
    pairs = list(zip(sides[::2], sides[1::2], strict=False))
    return len(baseline.runs) == len(candidate.runs) and all(a != b for a, b in pairs)


def effect(one: Sequence[float], other: Sequence[float]) -> float:
    """By how much the medians differ, relative to the smaller."""
    small, large = sorted((median(one), median(other)))
    return large / small - 1


def control(before: Sequence[float], after: Sequence[float]) -> float:
    """The A/A control: the effect that 19 of 20 comparisons of a command with itself stay below.

    Each side's own runs are split into two halves in every way (in many, where there are more than
    a thousand). Medians of half as many runs vary by the square root of two more, which is undone.
    The noisier side counts.
    """
    return max(_own_effect(before), _own_effect(after)) / math.sqrt(2)


def _own_effect(runs: Sequence[float]) -> float:
    effects = sorted(effect(one, other) for one, other in _halves(runs))
    return effects[math.ceil(_COVERED * len(effects)) - 1] if effects else 0.0


def _halves(runs: Sequence[float]) -> Iterator[tuple[list[float], list[float]]]:
    half = len(runs) // 2
    if half == 0:
        return
    if math.comb(len(runs), half) <= _SPLITS:
        chosen = list(combinations(range(len(runs)), half))
    else:
        draw = random.Random(0)  # the same verdict on the same runs
        chosen = [tuple(draw.sample(range(len(runs)), half)) for _ in range(_SPLITS)]
    for indices in chosen:
        rest = set(range(len(runs))).difference(indices)
        yield [runs[i] for i in indices], [runs[i] for i in rest]


def smallest_p(one: int, other: int) -> float:
    """The p-value of two groups that do not overlap at all: no test can say more."""
    return 2 / math.comb(one + other, one)


def p_value(before: Sequence[float], after: Sequence[float]) -> float:
    """The two-sided Mann-Whitney test: exact, unless runs took equally long.

    Mann and Whitney, Annals of Mathematical Statistics 18 (1947), 50 to 60.
    """
    require_statistics()
    from scipy.stats import mannwhitneyu

    values = {*before, *after}
    if len(values) == 1:
        return 1.0
    tied = len(values) < len(before) + len(after)
    return float(mannwhitneyu(before, after, method="asymptotic" if tied else "exact").pvalue)


def require_statistics() -> None:
    """See to it that a verdict can be had, before anything is measured.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    if importlib.util.find_spec("scipy") is None:
        raise MissingExtraError(
            "comparing needs scipy, and cannot import it",
            hint='pip install "pytest-slipstream[stats]"',
        )
