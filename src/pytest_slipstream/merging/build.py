"""A build's parts, joined: judged, and written as one run record with its files.

The invariant: what a run left counts if the run counts, all of it or nothing; what is unreadable
is found before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from xml.etree.ElementTree import Element

import msgspec

from pytest_slipstream import events, record
from pytest_slipstream.clock import clock
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.merging import coverage_data, junit, whole
from pytest_slipstream.merging.naming import named
from pytest_slipstream.merging.parts import MachineRun, Part
from pytest_slipstream.merging.verdict import Verdict, judge, kind
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.durations import History, merged

_OWN = "merge"
RECORD = f"events-{_OWN}.jsonl"
JUNIT = "junit.xml"
HISTORY = "durations.json"
COVERAGE = ".coverage"


def merge(parts: Sequence[Part], target: Path) -> list[events.AnyEvent]:
    """Join what machines left.

    Args:
        parts: One for each machine.
        target: The directory that is written, whole or not at all.

    Returns:
        The events of the build; the last says what became of it.

    Raises:
        SlipstreamError: Something cannot be read, or the target not be written.
    """
    verdict = judge(run for part in parts for run in part.runs)
    if not (verdict.counted or verdict.problems):
        places = ", ".join(str(part.directory) for part in parts)
        raise SlipstreamError(
            f"there is no run record in {places}",
            hint="a machine leaves it in .slipstream/runs, if a database is configured or "
            "pytest was called with --shard or --queue; hidden files must be among what CI keeps",
        )
    counting = [
        part for part in parts if not part.runs or any(run in verdict.counted for run in part.runs)
    ]
    suites = junit.joined(file for part in counting for file in part.junit)
    history = reduce(
        merged,
        (history_file.read(file) for part in counting for file in part.histories),
        History(),
    )
    happened = [event for run in verdict.counted for event in told(run)]
    happened.sort(key=lambda event: event.at)
    end = _end(verdict, counting, suites)
    data = [file for part in counting for file in part.coverage]
    with whole.directory(target, RECORD) as new:
        _write(new, [*happened, end])
        if any(part.junit for part in counting):
            (new / JUNIT).write_bytes(junit.encode(suites))
        if history.machines:
            history_file.write(new / HISTORY, history)
        if data:
            coverage_data.combine(data, new / COVERAGE)
    return [*happened, end]


def _end(verdict: Verdict, parts: Sequence[Part], suites: Element) -> events.BuildMerged:
    problems = [*verdict.problems, *_absent(parts)]
    failed = _failed(parts)
    unnamed = [
        f"tests failed in {named(run)}, and no JUnit file names them: {run.directory}"
        for run in verdict.counted
        if run.exit_status == 1 and not failed
    ]
    empty = [f"{file} is empty, and names no test" for part in parts for file in part.empty]
    return events.BuildMerged(
        worker=_OWN,
        at=clock.unix(),
        exit_status=msgspec.structs.replace(verdict, problems=tuple(problems)).exit_status(
            len(failed)
        ),
        problems=tuple(problems),
        notes=(*verdict.notes, *unnamed, *empty),
        tests=int(suites.get("tests", 0)),
        skipped=int(suites.get("skipped", 0)),
        failed=failed,
    )


def _failed(parts: Sequence[Part]) -> tuple[str, ...]:
    """The tests that failed; each once for each lane, Python and system on which it did."""
    found = dict.fromkeys(
        (name, ", ".join(sorted({kind(run.started) for run in part.runs})))
        for part in parts
        for name in junit.failed(junit.joined(part.junit))
    )
    times = Counter(name for name, _ in found)
    return tuple(f"{name} ({where})" if times[name] > 1 else name for name, where in found)


def _absent(parts: Sequence[Part]) -> list[str]:
    """What some machines left and others did not."""
    with_junit = any(part.junit for part in parts)
    return [
        *(f"{part.directory} holds no run record" for part in parts if not part.runs),
        *(
            f"{part.directory} holds no JUnit file, and others do"
            for part in parts
            if with_junit and part.runs and not part.junit
        ),
    ]


def told(run: MachineRun) -> list[events.AnyEvent]:
    """The events of a run; each of its processes gets a name of its own among all machines."""
    where = f"{kind(run.started)}, {named(run)}"
    return [
        msgspec.structs.replace(event, worker=f"{where}, {event.worker}")
        for event in record.read(run.directory)
    ]


def _write(directory: Path, happened: Sequence[events.AnyEvent]) -> None:
    lines = [msgspec.json.encode(event) + b"\n" for event in happened]
    (directory / RECORD).write_bytes(b"".join(lines))
