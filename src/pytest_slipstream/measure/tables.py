"""The Markdown that teams paste into a pull request. Pure.

The invariant: every run is shown, not only a median, and what so few runs cannot tell is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from rich.filesize import decimal

from pytest_slipstream.measure.comparability import Differences
from pytest_slipstream.measure.values import Composition, Machine, Measurement, Run
from pytest_slipstream.measure.verdicts import ALPHA, LEAST_EFFECT, Verdict, interleaved

_LISTED = 10


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
            f"### {_code(one.command)}: {seconds(median(one.walls_s))}",
            "",
            *_table([*head, "database server", "exit", "tests"], rows),
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
        _bytes(run.peak_bytes),
        _bytes(run.server_peak_bytes),
        str(run.exit_status),
        composed(run.composition),
    ]


def _median(one: Measurement) -> list[str]:
    figures = [
        seconds(median(run.wall_s for run in one.runs)),
        seconds(median(run.user_s for run in one.runs)),
        seconds(median(run.system_s for run in one.runs)),
        _bytes(_middle(run.peak_bytes for run in one.runs)),
        _bytes(_middle(run.server_peak_bytes for run in one.runs)),
    ]
    return [f"**{cell}**" if cell else "" for cell in ("median", *figures, "", "")]


def _range(one: Measurement) -> list[str]:
    return [
        "range",
        _spread(run.wall_s for run in one.runs),
        _spread(run.user_s for run in one.runs),
        _spread(run.system_s for run in one.runs),
        _byte_spread(run.peak_bytes for run in one.runs),
        _byte_spread(run.server_peak_bytes for run in one.runs),
        "",
        "",
    ]


def _tests(one: Measurement) -> Iterator[str]:
    tests = one.runs[-1].tests
    p95 = f", P95 {seconds(tests.p95_s)}" if tests.p95_s is not None else ""
    yield (
        f"- a test in the last run: median {seconds(tests.median_s)}{p95}, longest "
        f"{seconds(tests.longest_s)} ({_code(tests.longest)})"
    )
    unsteady = [f"{_code(name)} ({seen})" for name, seen in one.tests.items() if " or " in seen]
    if unsteady:
        yield f"- **did not end alike in all runs**: {_listed(unsteady)}"


def _surroundings(one: Measurement) -> Iterator[str]:
    software = one.software
    yield f"- {described(one.machine)}; load before: {one.load_before:g}"
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
    warm = f" after {_count(warmup, 'warm-up')}" if warmup else ", without a warm-up"
    return f"{_count(runs, 'run')}{warm}; the range is all that was seen, and no percentile"


def compared(
    baseline: Measurement, candidate: Measurement, found: Differences, verdict: Verdict
) -> str:
    """A comparison: baseline, candidate, how they differ, and what can be said of it."""
    sides = (baseline, candidate)
    return "\n".join(
        [
            f"### {headline(baseline, candidate, verdict)}",
            "",
            *_table(["", "baseline", "candidate", "change"], list(_figures(sides, found))),
            "",
            *(f"- **{warning}**" for warning in verdict.warnings),
            f"- {_reasoning(sides, verdict)}",
            *_changes(found),
            f"- {described(candidate.machine)}; load before: {candidate.load_before:g}",
            "",
            "All runs, in order:",
            "",
            *_table(["run", "baseline", "candidate"], _runs(sides)),
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
    yield ["command", *(_code(side.command) for side in sides), ""]
    revisions = [side.commit.revision[:12] if side.commit else "none" for side in sides]
    dirty = [" and changes" if side.commit and side.commit.dirty else "" for side in sides]
    yield ["revision", *(a + b for a, b in zip(revisions, dirty, strict=True)), ""]
    walls = [median(side.walls_s) for side in sides]
    yield ["wall, median", *map(seconds, walls), change(*walls)]
    yield ["wall, range", *(_spread(side.walls_s) for side in sides), ""]
    cpus = [median(run.cpu_s for run in side.runs) for side in sides]
    yield ["CPU, median", *map(seconds, cpus), change(*cpus)]
    peaks = [_middle(run.peak_bytes for run in side.runs) for side in sides]
    yield ["peak memory, median", *map(_bytes, peaks), change(*peaks)]
    servers = [_middle(run.server_peak_bytes for run in side.runs) for side in sides]
    if any(servers):
        yield ["database server, median", *map(_bytes, servers), change(*servers)]
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
    changed = [f"{_code(name)} ({a}, then {b})" for name, (a, b) in found.changed.items()]
    for word, tests in (
        ("gained", [_code(name) for name in found.gained]),
        ("lost", [_code(name) for name in found.lost]),
        ("ended otherwise", changed),
    ):
        if tests:
            yield f"- tests {word}: {_listed(tests)}"


def _reasoning(sides: Sequence[Measurement], verdict: Verdict) -> str:
    counts = [len(side.runs) for side in sides]
    runs = (
        f"{counts[0]} interleaved pairs"
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


def described(machine: Machine) -> str:
    """A machine, in a line."""
    memory = round(machine.memory_bytes / 2**30)
    return f"{machine.processor}, {machine.cores} cores, {memory} GB, {machine.system}"


def composed(composition: Composition) -> str:
    """Tests by lane and outcome, in a line."""
    return "; ".join(
        (f"{lane}: " if lane else "")
        + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        for lane, outcomes in composition.items()
    )


def seconds(value: float) -> str:
    """Seconds to three digits; minutes from two of them on."""
    if value >= 120:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest:02} s"
    if value < 0.0995:
        return f"{value * 1000:.1f} ms" if value < 0.00995 else f"{value * 1000:.0f} ms"
    return f"{value:.{2 if value < 9.995 else 1}f} s"


def change(before: float | None, after: float | None) -> str:
    """By how much something changed."""
    return f"{after / before - 1:+.0%}" if before and after is not None else ""


def _middle(values: Iterable[int | None]) -> int | None:
    seen = [value for value in values if value is not None]
    return round(median(seen)) if seen else None


def _bytes(value: int | None) -> str:
    return "" if value is None else decimal(value)


def _spread(values: Iterable[float]) -> str:
    seen = sorted(values)
    return f"{seconds(seen[0])} to {seconds(seen[-1])}"


def _byte_spread(values: Iterable[int | None]) -> str:
    seen = sorted(value for value in values if value is not None)
    return f"{decimal(seen[0])} to {decimal(seen[-1])}" if seen else ""


def _workers(count: int) -> str:
    return _count(count, "worker") if count else "in one process"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _code(text: str) -> str:
    """Text as Markdown's code, which may stand in a table."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
