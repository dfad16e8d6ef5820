"""The Markdown of a comparison, to paste into a pull request. Pure.

The invariant: the verdict stands with all that it rests on, and with what speaks against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from pytest_slipstream.measure.comparability import Differences
from pytest_slipstream.measure.figures import (
    change,
    code,
    composed,
    count,
    described,
    listed,
    middle,
    seconds,
    size,
    spread,
    table,
)
from pytest_slipstream.measure.values import Measurement
from pytest_slipstream.measure.verdicts import ALPHA, LEAST_EFFECT, Verdict, interleaved


def compared(
    baseline: Measurement, candidate: Measurement, found: Differences, verdict: Verdict
) -> str:
    """A comparison: baseline, candidate, how they differ, and what can be said of it."""
    sides = (baseline, candidate)
    return "\n".join(
        [
            f"### {headline(baseline, candidate, verdict)}",
            "",
            *table(["", "baseline", "candidate", "change"], list(_figures(sides, found))),
            "",
            *(f"- **{warning}**" for warning in verdict.warnings),
            f"- {_reasoning(sides, verdict)}",
            *_changes(found),
            f"- {described(candidate.machine)}; load before: {candidate.load_before:g}",
            "",
            "All runs, in order:",
            "",
            *table(["run", "baseline", "candidate"], _runs(sides)),
            "",
        ]
    )


def headline(baseline: Measurement, candidate: Measurement, verdict: Verdict) -> str:
    """The verdict in a line."""
    before, after = median(baseline.walls_s), median(candidate.walls_s)
    figures = f"{seconds(before)} before, {seconds(after)} after"
    if verdict.because:
        return f"**{verdict.word}**: {verdict.because}; {figures}"
    return f"**{verdict.word}**, {1 + verdict.effect:.2f} times: {figures}"


def _figures(sides: Sequence[Measurement], found: Differences) -> Iterator[list[str]]:
    yield ["command", *(code(side.command) for side in sides), ""]
    revisions = [side.commit.revision[:12] if side.commit else "none" for side in sides]
    dirty = [" and changes" if side.commit and side.commit.dirty else "" for side in sides]
    yield ["revision", *(a + b for a, b in zip(revisions, dirty, strict=True)), ""]
    walls = [median(side.walls_s) for side in sides]
    yield ["wall, median", *map(seconds, walls), change(*walls)]
    yield ["wall, range", *(spread(side.walls_s) for side in sides), ""]
    cpus = [median(run.cpu_s for run in side.runs) for side in sides]
    yield ["CPU, median", *map(seconds, cpus), change(*cpus)]
    peaks = [middle(run.peak_bytes for run in side.runs) for side in sides]
    yield ["peak memory, median", *map(size, peaks), change(*peaks)]
    servers = [middle(run.server_peak_bytes for run in side.runs) for side in sides]
    if any(servers):
        yield ["database server, median", *map(size, servers), change(*servers)]
    yield ["workers", *(str(side.workers or "none") for side in sides), ""]
    yield ["tests", *(composed(side.runs[-1].composition) for side in sides), _tally(found)]


def _tally(found: Differences) -> str:
    counts = [
        f"{len(tests)} {word}"
        for word, tests in (
            ("gained", found.gained),
            ("lost", found.lost),
            ("ended otherwise", found.changed),
        )
        if tests
    ]
    return ", ".join(counts) or "the same tests"


def _changes(found: Differences) -> Iterator[str]:
    changed = [f"{code(name)} ({a}, then {b})" for name, (a, b) in found.changed.items()]
    for word, tests in (
        ("gained", [code(name) for name in found.gained]),
        ("lost", [code(name) for name in found.lost]),
        ("ended otherwise", changed),
    ):
        if tests:
            yield f"- tests {word}: {listed(tests)}"


def _reasoning(sides: Sequence[Measurement], verdict: Verdict) -> str:
    counts = [len(side.runs) for side in sides]
    runs = (
        count(counts[0], "interleaved pair")
        if interleaved(*sides)
        else f"{counts[0]} and {counts[1]} runs, one side after the other"
    )
    return (
        f"{runs}: medians differ by {verdict.effect:.1%} (at least {LEAST_EFFECT:.0%} is wanted, "
        f"and more than the {verdict.control:.1%} of the A/A control), exact Mann-Whitney "
        f"p = {verdict.p_value:.2g} (below {ALPHA:g} is wanted)"
    )


def _runs(sides: Sequence[Measurement]) -> list[list[str]]:
    longest = max(len(side.runs) for side in sides)
    return [
        [str(n + 1), *(seconds(side.walls_s[n]) if n < len(side.runs) else "" for side in sides)]
        for n in range(longest)
    ]
