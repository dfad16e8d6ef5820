"""From the lines of the outcomes plugin to the tests of one run.

Pure, apart from `read`. The invariant: a test counts once, with its last attempt, and with the
worst that any phase of it said.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from pytest_slipstream.measure.values import P95_TESTS, Composition, TestSeconds

_WORST_FIRST = ("error", "failed", "xpassed", "xfailed", "skipped", "passed")


class Session(msgspec.Struct, frozen=True, tag_field="kind", tag="session"):
    """With what one pytest ran. ``workers``: pytest-xdist's."""

    rootpath: str
    python: str
    pytest: str
    plugins: dict[str, str]
    workers: int
    testrun_uid: str


class Phase(msgspec.Struct, frozen=True, tag_field="kind", tag="phase"):
    """One phase of one test."""

    node_id: str
    when: str
    outcome: str
    xfail: bool = False
    seconds: float = 0.0


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """How one pytest ended. ``foreign``: packages imported from the wrong checkout."""

    status: int
    foreign: tuple[str, ...] = ()


Line = Session | Phase | End


class Test(msgspec.Struct, frozen=True):
    """One test of one run."""

    __test__ = False

    outcome: str
    seconds: float


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run's plugin noted; several sessions, where the command ran pytest repeatedly."""

    sessions: tuple[Session, ...] = ()
    ends: tuple[End, ...] = ()
    tests: Mapping[str, Test] = {}


def read(directory: Path) -> Noted:
    """What was noted in a directory; a last line cut short by a killed process is left out."""
    decoder = msgspec.json.Decoder(Line)
    return noted(
        decoder.decode(line)
        for path in sorted(directory.glob("*.jsonl"))
        for line in path.read_bytes().split(b"\n")[:-1]
    )


def noted(lines: Iterable[Line]) -> Noted:
    """Sort the lines."""
    sessions: list[Session] = []
    ends: list[End] = []
    phases: dict[str, list[Phase]] = {}
    for line in lines:
        if isinstance(line, Session):
            sessions.append(line)
        elif isinstance(line, End):
            ends.append(line)
        elif line.when == "setup":
            phases[line.node_id] = [line]  # another attempt of a test that is run again
        else:
            phases.setdefault(line.node_id, []).append(line)
    tests = {node_id: _test(of_test) for node_id, of_test in phases.items()}
    return Noted(sessions=tuple(sessions), ends=tuple(ends), tests=tests)


def _test(phases: list[Phase]) -> Test:
    worst = min(map(outcome, phases), key=_WORST_FIRST.index)
    return Test(worst, sum(phase.seconds for phase in phases))


def outcome(phase: Phase) -> Literal["error", "failed", "xpassed", "xfailed", "skipped", "passed"]:
    """What one phase says about its test."""
    if phase.outcome == "skipped":
        return "xfailed" if phase.xfail else "skipped"
    if phase.outcome == "passed":
        return "xpassed" if phase.xfail and phase.when == "call" else "passed"
    return "failed" if phase.when == "call" else "error"


def composition(tests: Mapping[str, Test], lanes: Mapping[str, str]) -> Composition:
    """The tests by lane and outcome.

    Args:
        tests: By node id.
        lanes: The lane of each node id that is known to have one.
    """
    found: Composition = {}
    for node_id, test in tests.items():
        of_lane = found.setdefault(lanes.get(node_id, ""), {})
        of_lane[test.outcome] = of_lane.get(test.outcome, 0) + 1
    return {
        lane: {name: found[lane][name] for name in reversed(_WORST_FIRST) if name in found[lane]}
        for lane in sorted(found)
    }


def test_seconds(tests: Mapping[str, Test]) -> TestSeconds:
    """What the tests of a run took. There must be one."""
    seconds = [test.seconds for test in tests.values()]
    longest = max(tests, key=lambda node_id: tests[node_id].seconds)
    enough = len(seconds) >= P95_TESTS
    return TestSeconds(
        median_s=statistics.median(seconds),
        p95_s=statistics.quantiles(seconds, n=20)[-1] if enough else None,
        longest_s=tests[longest].seconds,
        longest=longest,
    )
