"""Where every second went: the worker seconds of a run in buckets, from the run record.

The invariant: the buckets sum to the whole, which is the time from the start of each process that
ran tests to its end; what nobody measured is a bucket of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pytest_slipstream import events

UNATTRIBUTED = "not attributed"

Buckets = dict[str, float]
"""Seconds by what they went to."""

_OF_TESTS = {
    "server": "databases: server, template, slot",
    "template": "databases: server, template, slot",
    "slot": "databases: server, template, slot",
    "cleaning": "databases: cleaning",
    "layers": "databases: layers of wider fixtures",
    "connections": "connecting",
    "queries": "queries",
    "DDL statements": "DDL",
    "commits": "transaction control",
    "rollbacks": "transaction control",
    "transaction control": "transaction control",
}


class Account(msgspec.Struct, frozen=True):
    """The seconds of all workers.

    Args:
        buckets: Seconds by bucket, the largest first.
        fixtures: Set-up and teardown of each fixture, without what it stands on.
        imports: Seconds by test module; part of the collection.
        workers: How many processes ran tests.
    """

    buckets: dict[str, float]
    fixtures: dict[str, tuple[float, float]]
    imports: dict[str, float]
    workers: int

    @property
    def total_s(self) -> float:
        """All worker seconds."""
        return sum(self.buckets.values())


def account(happened: Sequence[events.AnyEvent]) -> Account:
    """Account for the seconds of a run."""
    tests: dict[str, list[events.TestTimed]] = {}
    processes: dict[str, events.ProcessTimed] = {}
    ends: dict[str, float] = {}
    overlapping: dict[str, dict[str, events.AsyncTestRan]] = {}
    for event in happened:
        if isinstance(event, events.TestTimed):
            tests.setdefault(event.worker, []).append(event)
        elif isinstance(event, events.ProcessTimed):
            processes[event.worker] = event
        elif isinstance(event, events.RunFinished):
            ends[event.worker] = event.at
        elif isinstance(event, events.AsyncTestRan) and event.together:
            overlapping.setdefault(event.worker, {})[event.node_id] = event
    # One that only collected did it for the others; pytest-xdist's controller does not collect.
    counted = {
        worker: process
        for worker, process in processes.items()
        if worker in tests or process.imports
    }
    buckets = _joined(
        _worker(process, ends[worker], tests.get(worker, []), overlapping.get(worker, {}))
        for worker, process in counted.items()
        if worker in ends
    )
    return Account(
        buckets=dict(sorted(buckets.items(), key=lambda one: -one[1])),
        fixtures=_fixtures(test for own in tests.values() for test in own),
        imports={
            name: seconds
            for process in counted.values()
            for name, seconds in process.imports.items()
        },
        workers=len(tests),
    )


def _joined(parts: Iterable[Buckets]) -> Buckets:
    joined: Buckets = defaultdict(float)
    for part in parts:
        for name, seconds in part.items():
            joined[name] += seconds
    return {name: seconds for name, seconds in joined.items() if seconds > 0}


def _worker(
    process: events.ProcessTimed,
    ended: float,
    own: Sequence[events.TestTimed],
    overlapping: Mapping[str, events.AsyncTestRan],
) -> Buckets:
    imports = min(sum(process.imports.values()), process.collecting_seconds)
    _, busy_s = overlap((test.began, test.began + test.seconds) for test in own)
    between = "idle"
    if process.worker.endswith("main"):
        between = "pytest and its plugins, between tests" if own else "waiting for workers"
    parts = [
        {
            "interpreter and plugins": process.starting_seconds,
            "conftests and configuration": process.conftest_seconds,
            "importing test modules": imports,
            "collecting": process.collecting_seconds - imports,
            between: process.running_seconds - busy_s,
        },
        *(_test(test) for test in own if test.node_id not in overlapping),
        _together(overlapping.values()),
    ]
    known = _joined(parts)
    whole_s = ended - process.began
    return {**known, UNATTRIBUTED: max(0.0, whole_s - sum(known.values()))}


def _test(test: events.TestTimed) -> Buckets:
    call_s = test.own[1]
    cpu_s = min(test.cpu_seconds, call_s)
    fixtures_s = sum(map(sum, test.fixtures.values()))
    counted_s = call_s + fixtures_s + sum(test.spent.values())
    return _joined(
        [
            *({_OF_TESTS.get(kind, kind): seconds} for kind, seconds in test.spent.items()),
            {
                "test bodies: processor": cpu_s,
                "test bodies: waiting": call_s - cpu_s,
                "fixtures": fixtures_s,
                "pytest and its plugins, around tests": test.seconds - counted_s,
            },
        ]
    )


def _together(ran: Iterable[events.AsyncTestRan]) -> Buckets:
    """Tests that overlap share the process: its seconds, not theirs, are what is accounted."""
    tests = list(ran)
    _, covered_s = overlap((one.at - one.seconds, one.at) for one in tests)
    running_s = min(covered_s, sum(one.running_seconds for one in tests))
    return {
        "tests in flight together: running": running_s,
        "tests in flight together: all waiting": covered_s - running_s,
    }


def overlap(spans: Iterable[tuple[float, float]]) -> tuple[int, float]:
    """How many of some spans of time overlap at most, and how long they cover time together."""
    edges = sorted(edge for begin, end in spans for edge in ((begin, 1), (end, -1)))
    now, most, covered, since = 0, 0, 0.0, 0.0
    for at, step in edges:
        if now:
            covered += at - since
        now, since = now + step, at
        most = max(most, now)
    return most, covered


def _fixtures(tests: Iterable[events.TestTimed]) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {}
    for test in tests:
        for key, (set_up_s, torn_down_s) in test.fixtures.items():
            total = found.setdefault(key, [0.0, 0.0])
            total[0] += set_up_s
            total[1] += torn_down_s
    ordered = sorted(found.items(), key=lambda one: -sum(one[1]))
    return {key: (set_up_s, torn_down_s) for key, (set_up_s, torn_down_s) in ordered}
