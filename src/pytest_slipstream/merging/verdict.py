"""What became of a build that ran on many machines: pure, from what their records say.

The invariant: a build passes only if each of its tests ran, on one machine, and none failed;
whatever cannot be told apart from a lost test is a problem.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pytest_slipstream import events
from pytest_slipstream.merging.naming import listed, named, node_ids
from pytest_slipstream.merging.parts import MachineRun
from pytest_slipstream.merging.queue_verdict import pulled
from pytest_slipstream.settings import OVER_BUDGET

_ENDS = {
    2: "interrupted",
    3: "an internal error",
    4: "a wrong configuration or command line",
    5: "no tests",
}


class Verdict(msgspec.Struct, frozen=True):
    """What was found.

    Args:
        counted: The runs that count.
        problems: Why the build is not whole; empty where it is.
        notes: What does not count, and why.
    """

    counted: tuple[MachineRun, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def exit_status(self, failures: int = 0) -> int:
        """Of the build: 2 where it is not whole, 1 where something failed, `OVER_BUDGET`
        where only a budget did, 0 where all passed.

        Args:
            failures: Tests that failed by what else is known.
        """
        if self.problems:
            return 2
        ended = {run.exit_status for run in self.counted}
        if failures or ended - {0, OVER_BUDGET}:
            return 1
        return OVER_BUDGET if OVER_BUDGET in ended else 0


def judge(runs: Iterable[MachineRun]) -> Verdict:
    """Judge the runs of one build; those of each lane, Python and system by themselves."""
    groups: dict[str, list[MachineRun]] = {}
    for run in sorted(runs, key=lambda run: run.started.at):
        groups.setdefault(kind(run.started), []).append(run)
    counted: list[MachineRun] = []
    problems: list[str] = []
    notes: list[str] = []
    for name, members in sorted(groups.items()):
        sharded, replaced = _newest(members)
        queued = pulled([run for run in members if run.joined], sharded)
        whole = [run for run in members if run.chosen is None and run.joined is None]
        prefix = f"{name}: " if len(groups) > 1 else ""
        notes += [
            f"{prefix}shard {run.shard} ran again later; {run.directory} does not count"
            for run in replaced
        ]
        notes += [f"{prefix}{note}" for note in queued.notes]
        ran = [*whole, *sharded, *queued.counted]
        found = [*_ends(ran), *queued.problems, *_shards([] if queued.judged else sharded)]
        problems += [f"{prefix}{problem}" for problem in found]
        counted += ran
    return Verdict(tuple(counted), tuple(problems), tuple(notes))


def kind(started: events.RunStarted) -> str:
    """What runs of one kind have in common: their shards belong together."""
    lanes = " and ".join(name for name, engines in started.lanes.items() if engines)
    return f"{lanes}{', ' if lanes else ''}Python {started.python}, {started.system}"


def _newest(runs: Iterable[MachineRun]) -> tuple[list[MachineRun], list[MachineRun]]:
    """The newest run of each shard, and those that it stands in for; the runs come in order."""
    newest: dict[tuple[int, int], MachineRun] = {}
    replaced = []
    for run in runs:
        if run.shard is not None:
            key = (run.shard.count, run.shard.number)
            if key in newest:
                replaced.append(newest[key])
            newest[key] = run
    return [newest[key] for key in sorted(newest)], replaced


def _ends(runs: Iterable[MachineRun]) -> Iterator[str]:
    for run in runs:
        if run.exit_status is None:
            yield f"{named(run)} did not end: its process was killed, or its machine was lost"
        elif run.exit_status not in (0, 1, OVER_BUDGET):
            reason = _ENDS.get(run.exit_status, "a plugin's own")
            yield f"{named(run)} ended with exit status {run.exit_status}, {reason}"


def _shards(runs: Sequence[MachineRun]) -> Iterator[str]:
    """What is wrong with shards that should make one whole."""
    if not runs:
        return
    counts = sorted({run.shard.count for run in runs if run.shard})
    if len(counts) > 1:
        yield f"there are shards of {' and of '.join(map(str, counts))} machines"
        return
    present = {run.shard.number for run in runs if run.shard}
    missing = [f"{n}/{counts[0]}" for n in range(1, counts[0] + 1) if n not in present]
    if missing:
        yield f"missing: shard {', '.join(missing)}"
    yield from _differences(runs)
    expected, ran = Counter[str](), Counter[str]()
    for run in runs:
        expected |= Counter(_collected(run))
        ran += Counter(_own(run))
    yield from listed("ran on no machine", expected - ran)
    yield from listed("ran on more than one machine", ran - expected)


def _differences(runs: Sequence[MachineRun]) -> Iterator[str]:
    """Where shards did not split alike, the tests that one collected and another did not."""
    by_digest: dict[str, list[MachineRun]] = {}
    for run in runs:
        by_digest.setdefault(_digest(run), []).append(run)
    if len(by_digest) < 2:
        return
    described = "; ".join(
        f"{digest} on {', '.join(str(run.shard) for run in alike)}"
        for digest, alike in by_digest.items()
    )
    yield f"the shards were not split alike: digest {described}"
    (first, *_), *others = by_digest.values()
    reference = Counter(_collected(first))
    same = True
    for other, *_ in others:
        collected = Counter(_collected(other))
        for more, less, surplus in (
            (first, other, reference - collected),
            (other, first, collected - reference),
        ):
            same = same and not surplus
            yield from listed(f"collected by {named(more)} and not by {named(less)}", surplus)
    if same:
        yield "all collected the same tests, so they read different duration histories"


def _digest(run: MachineRun) -> str:
    return run.chosen.digest if run.chosen else ""


def _own(run: MachineRun) -> Iterator[str]:
    return node_ids(run.chosen.here if run.chosen else {})


def _collected(run: MachineRun) -> Iterator[str]:
    yield from _own(run)
    yield from node_ids(run.chosen.elsewhere if run.chosen else {})
