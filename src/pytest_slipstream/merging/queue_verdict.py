"""What became of the machines that pulled a build from a queue: pure, from what their records say.

The invariant: a machine that was lost is no problem where others reported what it had run; a test
that nobody reported is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from pytest_slipstream.merging.naming import listed, named, node_ids
from pytest_slipstream.merging.parts import MachineRun


class Pulled(msgspec.Struct, frozen=True):
    """What was found.

    Args:
        counted: The runs that count.
        problems: Why the build is not whole.
        notes: What does not count, and why.
        judged: Whether there was a queue, so that shards stand for machines that did not reach it.
    """

    counted: tuple[MachineRun, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    judged: bool = False


def pulled(runs: Sequence[MachineRun], shards: Sequence[MachineRun]) -> Pulled:
    """Judge the runs of one kind that pulled from a queue.

    Args:
        runs: In order of time.
        shards: Those that ran a shard instead.
    """
    if not runs:
        return Pulled()
    builds = sorted({run.joined.build for run in runs if run.joined})
    if len(builds) > 1:
        problem = f"there are runs of the builds {' and '.join(builds)}; merge those of one"
        return Pulled(problems=(problem,), counted=tuple(runs), judged=True)
    counted: dict[str, MachineRun] = {}
    notes = []
    for run in runs:
        name = run.joined.machine if run.joined else ""
        if run.left is None or run.left.problem:
            why = f": {run.left.problem.splitlines()[0]}" if run.left else ", and did not end"
            notes.append(f"{named(run)} was lost{why}; {run.directory} does not count")
            continue
        if name in counted:
            notes.append(f"{named(run)} ran again later; {counted[name].directory} does not count")
        counted[name] = run
    found = tuple(counted.values())
    missing, twice = _tests(found, runs, shards)
    problems = list(listed("reported by no machine", missing))
    repeated = list(listed("reported by more than one machine", twice))
    if shards:
        notes += [f"{named(run)} did not reach the queue" for run in shards] + repeated
    else:
        problems += repeated
    return Pulled(found, tuple(problems), tuple(notes), judged=True)


def _tests(
    counted: Sequence[MachineRun], runs: Sequence[MachineRun], shards: Sequence[MachineRun]
) -> tuple[Counter[str], Counter[str]]:
    """The tests that nobody reported, and those that several did."""
    expected, reported = Counter[str](), Counter[str]()
    for run in (*runs, *shards):
        expected |= Counter(_collected(run))
    for run in (*counted, *shards):
        reported.update(_reported(run))
    return expected - reported, reported - expected


def _collected(run: MachineRun) -> Iterator[str]:
    if run.joined:
        yield from node_ids(run.joined.collected)
    if run.chosen:
        yield from node_ids(run.chosen.here)
        yield from node_ids(run.chosen.elsewhere)


def _reported(run: MachineRun) -> Iterator[str]:
    if run.left:
        yield from node_ids(run.left.reported)
    if run.chosen:
        yield from node_ids(run.chosen.here)
