"""Where every second went: the worker seconds of a run in buckets, from the run record.

The invariant: the buckets sum to the whole, which is the time from the start of each process that
ran tests to its end; what nobody measured is a bucket of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pytest_slipstream import events
from pytest_slipstream.report.happened import Happened
from pytest_slipstream.spans import overlap

UNATTRIBUTED = "not attributed"
_UNKNOWN = "test bodies: waiting, not known for what"

Buckets = dict[str, float]
"""Seconds by what they went to."""

_MAKING = {
    "server": "databases: server, template, slot",
    "template": "databases: server, template, slot",
    "slot": "databases: server, template, slot",
}
_CLEANING = {
    "cleaning": "databases: cleaning",
    "layers": "databases: layers of wider fixtures",
}
_BLOCKING = {**_CLEANING, "imports": "imports, in tests"}
_OF_TESTS = {
    **_MAKING,
    **_BLOCKING,
    "connections": "connecting",
    "queries": "queries",
    "database locks": "waiting for database locks",
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
        packages: Seconds of all imports by package, the slowest first, without what it imports.
        workers: How many processes ran tests.
    """

    buckets: dict[str, float]
    fixtures: dict[str, tuple[float, float]]
    imports: dict[str, float]
    packages: dict[str, float]
    workers: int

    @property
    def total_s(self) -> float:
        """All worker seconds."""
        return sum(self.buckets.values())


def began_and_ended(happened: Iterable[events.Event]) -> tuple[float, float]:
    """Unix times of a run: from its first process's begin to its last one's end."""
    found = Happened(happened)
    began = min(
        [event.began for event in found.of(events.ProcessTimed)]
        or [event.at for event in happened],
        default=0.0,
    )
    return began, max((end.at for end in found.of(events.RunFinished)), default=began)


def account(happened: Iterable[events.Event]) -> Account:
    """Account for the seconds of a run."""
    found = Happened(happened)
    tests: dict[str, list[events.TestTimed]] = {}
    for test in found.of(events.TestTimed):
        tests.setdefault(test.worker, []).append(test)
    processes = {event.worker: event for event in found.of(events.ProcessTimed)}
    ends = {event.worker: event.at for event in found.of(events.RunFinished)}
    overlapping: dict[str, dict[str, events.AsyncTestRan]] = {}
    for ran in found.of(events.AsyncTestRan):
        if ran.together:
            overlapping.setdefault(ran.worker, {})[ran.node_id] = ran
    # One that only collected did it for the others; pytest-xdist's controller does not collect.
    counted = {
        worker: process
        for worker, process in processes.items()
        if worker in ends and (worker in tests or process.imports)
    }
    buckets = _joined(
        [
            *(
                _process(one, ends[one.worker], tests.get(one.worker, []))
                for one in counted.values()
            ),
            *(_tests(own, overlapping.get(worker, {})) for worker, own in tests.items()),
        ]
    )
    return Account(
        buckets=_largest_first(buckets),
        fixtures=_fixtures(test for own in tests.values() for test in own),
        imports={
            name: seconds
            for process in counted.values()
            for name, seconds in process.imports.items()
        },
        packages=_largest_first(_joined(process.packages for process in counted.values())),
        workers=len(tests),
    )


def _joined(parts: Iterable[Buckets]) -> Buckets:
    joined: Buckets = defaultdict(float)
    for part in parts:
        for name, seconds in part.items():
            joined[name] += seconds
    return {name: seconds for name, seconds in joined.items() if seconds > 0}


def _largest_first(seconds: Buckets) -> Buckets:
    return dict(sorted(seconds.items(), key=lambda one: -one[1]))


def _process(
    process: events.ProcessTimed, ended: float, own: Sequence[events.TestTimed]
) -> Buckets:
    """What a process did besides its tests.

    One that waits for workers lets them count, and its own seconds end and begin again with theirs.
    """
    by_conftests_s, collecting_s = process.importing
    imports_s = max(collecting_s, sum(process.imports.values()))
    imports_s = min(imports_s, process.collecting_seconds)
    _, busy_s = overlap((test.began, test.began + test.seconds) for test in own)
    is_worker = not process.worker.endswith("main")
    before = {
        "worker start" if is_worker else "interpreter and plugins": process.starting_seconds,
        "conftests and configuration": process.conftest_seconds - by_conftests_s,
        "imports, by conftests": by_conftests_s,
        "imports, by test modules": imports_s,
        "collecting": process.collecting_seconds - imports_s,
    }
    unknown_s = ended - process.began - sum(before.values()) - process.running_seconds
    found = {**before, UNATTRIBUTED: max(0.0, unknown_s)}
    if not own:
        return found
    between_s = max(0.0, process.running_seconds - busy_s)
    if not is_worker:
        return {**found, "pytest and its plugins, between tests": between_s}
    last = max(test.began + test.seconds for test in own)
    tail_s = min(between_s, max(0.0, _running_until(process) - last))
    return {**found, "idle, between tests": between_s - tail_s, "idle, after the last": tail_s}


def _running_until(process: events.ProcessTimed) -> float:
    """When its run of all tests was over: it writes what it took at once, if not right away."""
    stages_s = process.starting_seconds + process.conftest_seconds + process.collecting_seconds
    return process.began + stages_s + process.running_seconds


def _tests(
    own: Sequence[events.TestTimed], overlapping: Mapping[str, events.AsyncTestRan]
) -> Buckets:
    """What the tests of a process took."""
    together = [test for test in own if test.node_id in overlapping]
    alone = [test for test in own if test.node_id not in overlapping] if together else own
    running_s = sum(one.running_seconds for one in overlapping.values())
    return _joined([_alone(alone), _together(together, running_s)])


def _alone(tests: Iterable[events.TestTimed]) -> Buckets:
    """What tests took that have the process to themselves: thousands, so without a value each."""
    found: Buckets = defaultdict(float)
    for test in tests:
        call_s, spent_s, fixtures_s = test.own[1], 0.0, 0.0
        for kind, seconds in test.spent.items():
            spent_s += seconds
            found[_OF_TESTS.get(kind, kind)] += seconds
        for set_up_s, torn_down_s in test.fixtures.values():
            fixtures_s += set_up_s + torn_down_s
        cpu_s = min(test.cpu_seconds, call_s)
        unknown_s, in_fixtures_s = call_s - cpu_s, fixtures_s
        if test.waited:
            unknown_s -= _add_waits(found, "test bodies", test.waited, unknown_s)
        if test.fixtures_waited:
            in_fixtures_s -= _add_waits(found, "fixtures", test.fixtures_waited, fixtures_s)
        found["test bodies: processor"] += cpu_s
        found[_UNKNOWN] += max(0.0, unknown_s)
        found["fixtures"] += max(0.0, in_fixtures_s)
        around_s = test.seconds - call_s - fixtures_s - spent_s
        found["pytest and its plugins, around tests"] += max(0.0, around_s)
    return found


def _add_waits(found: Buckets, where: str, waited: Mapping[str, float], most_s: float) -> float:
    """Add by what was waited for, and return how many: no more than there are, whatever clocks
    say.
    """
    waited_s = sum(waited.values())
    share = min(1.0, most_s / waited_s) if waited_s else 0.0
    for kind, seconds in waited.items():
        found[f"{where}: {kind}"] += share * seconds
    return share * waited_s


def _spent(test: events.TestTimed, names: Mapping[str, str]) -> Buckets:
    return _joined({names[kind]: seconds} for kind, seconds in test.spent.items() if kind in names)


def _together(tests: Sequence[events.TestTimed], running_s: float) -> Buckets:
    """Tests that overlap share the process: its seconds, not theirs, are what is accounted.

    While slipstream works for one of them, or one imports, none of the others runs, so that is told
    apart. Slots are made before a test's own code begins to run, and are cleaned in its teardown.
    """
    _, covered_s = overlap((test.began, test.began + test.seconds) for test in tests)
    made = _joined(_spent(test, _MAKING) for test in tests)
    blocked = _joined(_spent(test, _BLOCKING) for test in tests)
    running_s = max(0.0, min(covered_s, running_s) - sum(blocked.values()))
    known_s = running_s + sum(made.values()) + sum(blocked.values())
    return {
        **made,
        **blocked,
        "tests in flight together: running": running_s,
        "tests in flight together: all waiting": max(0.0, covered_s - known_s),
    }


def _fixtures(tests: Iterable[events.TestTimed]) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {}
    for test in tests:
        for key, (set_up_s, torn_down_s) in test.fixtures.items():
            total = found.setdefault(key, [0.0, 0.0])
            total[0] += set_up_s
            total[1] += torn_down_s
    ordered = sorted(found.items(), key=lambda one: -sum(one[1]))
    return {key: (set_up_s, torn_down_s) for key, (set_up_s, torn_down_s) in ordered}
