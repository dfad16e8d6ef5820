"""How messages call runs and tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_slipstream.merging.parts import MachineRun
from pytest_slipstream.scheduling.durations import join

_SHOWN = 10


def named(run: MachineRun) -> str:
    """How messages call a run."""
    if run.joined:
        return f"machine {run.joined.machine}"
    return f"shard {run.shard}" if run.shard else f"the run {run.started.testrun_uid[:8]}"


def listed(what: str, tests: Counter[str]) -> Iterator[str]:
    """A sentence of what became of these tests; none where there are none."""
    if tests:
        names = sorted(tests)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"{what}: {tests.total()} tests: {', '.join(names[:_SHOWN])}{more}"


def node_ids(by_file: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What events have by file."""
    return (join(file, rest) for file, rests in by_file.items() for rest in rests)
