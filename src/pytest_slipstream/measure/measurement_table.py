"""The Markdown of one measurement, to paste into a pull request. Pure.

The invariant: every run is shown, not only a median, and what so few runs cannot tell is not said.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from pytest_slipstream.measure.figures import (
    code,
    composed,
    count,
    described,
    listed,
    middle,
    seconds,
    size,
    size_spread,
    spread,
    table,
)
from pytest_slipstream.measure.values import Measurement, Run


def measured(one: Measurement) -> str:
    """A measurement."""
    head = ("run", "wall", "user", "system", f"peak memory ({one.memory_kind})")
    rows = [
        *(_run(f"warm-up {n}", run) for n, run in enumerate(one.warmup, 1)),
        *(_run(str(n), run) for n, run in enumerate(one.runs, 1)),
        _median(one),
        _range(one),
    ]
    return "\n".join(
        [
            f"### {code(one.command)}: {seconds(median(one.walls_s))}",
            "",
            *table([*head, f"database server ({one.server_memory_kind})", "exit", "tests"], rows),
            "",
            *_tests(one),
            *_surroundings(one),
            f"- {_claims(len(one.runs), len(one.warmup))}",
            "",
        ]
    )


def _run(name: str, run: Run) -> list[str]:
    return [
        name,
        seconds(run.wall_s),
        seconds(run.user_s),
        seconds(run.system_s),
        size(run.peak_bytes),
        size(run.server_peak_bytes),
        str(run.exit_status),
        composed(run.composition),
    ]


def _median(one: Measurement) -> list[str]:
    figures = [
        seconds(median(run.wall_s for run in one.runs)),
        seconds(median(run.user_s for run in one.runs)),
        seconds(median(run.system_s for run in one.runs)),
        size(middle(run.peak_bytes for run in one.runs)),
        size(middle(run.server_peak_bytes for run in one.runs)),
    ]
    return [f"**{cell}**" if cell else "" for cell in ("median", *figures, "", "")]


def _range(one: Measurement) -> list[str]:
    return [
        "range",
        spread(run.wall_s for run in one.runs),
        spread(run.user_s for run in one.runs),
        spread(run.system_s for run in one.runs),
        size_spread(run.peak_bytes for run in one.runs),
        size_spread(run.server_peak_bytes for run in one.runs),
        "",
        "",
    ]


def _tests(one: Measurement) -> Iterator[str]:
    tests = one.runs[-1].tests
    p95 = f", P95 {seconds(tests.p95_s)}" if tests.p95_s is not None else ""
    yield (
        f"- a test in the last run: median {seconds(tests.median_s)}{p95}, longest "
        f"{seconds(tests.longest_s)} ({code(tests.longest)})"
    )
    unsteady = [f"{code(name)} ({seen})" for name, seen in one.tests.items() if " or " in seen]
    if unsteady:
        yield f"- **did not end alike in all runs**: {listed(unsteady)}"


def _surroundings(one: Measurement) -> Iterator[str]:
    software = one.software
    crowded = ", **other programs were busy**" if one.crowded else ""
    yield f"- {described(one.machine)}; load before: {one.load_before:g}{crowded}"
    versions = [f"Python {software.python}", f"pytest {software.pytest}"]
    versions += [f"{name} {version}".strip() for name, version in software.servers.items()]
    versions += [f"{name} {version}" for name, version in sorted(software.plugins.items())]
    yield f"- {', '.join(versions)}; {_workers(one.workers)}"
    if one.commit is None:
        yield "- no git revision"
    else:
        dirty = ", with changes that are not committed" if one.commit.dirty else ""
        yield f"- revision {one.commit.revision[:12]}{dirty}"


def _claims(runs: int, warmup: int) -> str:
    warm = f" after {count(warmup, 'warm-up')}" if warmup else ", without a warm-up"
    return f"{count(runs, 'run')}{warm}; the range is all that was seen, and no percentile"


def _workers(number: int) -> str:
    return count(number, "worker") if number else "in one process"
