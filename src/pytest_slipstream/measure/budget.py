"""Whether a run kept within its budgets: pure, from the events of its record.

The invariant: a budget that was broken is always said; where it does not fail the run, it is said
why not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from pytest_slipstream import events
from pytest_slipstream.settings import BudgetSettings
from pytest_slipstream.settings.quantities import (
    beyond,
    seconds,
    seconds_beyond,
    share,
    size_bytes,
)

_COUNTED = {
    "queries": ("queries", "database locks"),
    "commits": ("commits",),
    "connections": ("connections",),
    "ddl": ("DDL statements",),
    "fixtures": ("fixture set-ups",),
}
_SHOWN = 3
LOCAL = "not on a CI machine"
NEW = "the test is new"


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """A run as budgets see it.

    Args:
        tests: Each once, by node id.
        lanes: The lane of each, where there are lanes.
        clones: How often each was cleaned by a clone.
        wall_s: Of the process that reports.
        peak_bytes: None where memory was not looked at.
    """

    tests: Mapping[str, events.TestTimed]
    lanes: Mapping[str, str]
    clones: Mapping[str, int]
    wall_s: float
    peak_bytes: int | None = None


class Known(msgspec.Struct, frozen=True):
    """What is known of tests from before.

    Args:
        typical_s: By the duration history.
        allowances_s: What tests that were over their budget may take, by ``budget update``.
    """

    typical_s: Mapping[str, float] = {}
    allowances_s: Mapping[str, float] = {}


def observed(happened: Iterable[events.AnyEvent]) -> Observed:
    """A run, by its record."""
    tests: dict[str, events.TestTimed] = {}
    lanes: dict[str, str] = {}
    clones: dict[str, int] = {}
    began: list[float] = []
    ended: list[float] = []
    memory: list[int] = []
    for event in happened:
        if isinstance(event, events.TestTimed):
            tests[event.node_id] = event
        elif isinstance(event, events.TestRan):
            lanes[event.node_id] = event.lane
        elif isinstance(event, events.TestCleaned):
            if event.strategy == "clone" or event.escalated is not None:
                clones[event.node_id] = clones.get(event.node_id, 0) + 1
        elif isinstance(event, events.ProcessTimed):
            began.append(event.began)
            ended.append(event.at)
        elif isinstance(event, events.MemorySeen):
            memory.append(event.own_bytes)
    return Observed(
        tests=tests,
        lanes=lanes,
        clones=clones,
        wall_s=max(ended, default=0.0) - min(began, default=0.0),
        peak_bytes=max(memory, default=None),
    )


def broken(
    budget: BudgetSettings, run: Observed, known: Known, *, on_ci: bool
) -> list[events.BudgetBroken]:
    """The budgets that a run broke.

    Args:
        budget: What was allowed.
        run: What happened.
        known: What was known before it.
        on_ci: Whether this is a CI machine.
    """
    spared = "" if on_ci or budget.enforce == "always" else LOCAL
    of_time = [*_tests(budget, run, known), *_suite(budget, run, known)]
    return [
        *(_spared(one, spared or one.spared) for one in of_time),
        *_memory(budget, run),
        *_counters(budget, run),
    ]


def _spared(one: events.BudgetBroken, reason: str) -> events.BudgetBroken:
    return msgspec.structs.replace(one, fails=not reason, spared=reason)


def own_s(test: events.TestTimed) -> float:
    """What a test's phases took: without wider fixtures, and what is made once for all tests."""
    parts_s = [*test.own, *map(sum, test.fixtures.values()), -test.wider_seconds]
    return sum(parts_s) + sum(s for kind, s in test.spent.items() if kind not in events.MADE_ONCE)


def limit_of(budget: BudgetSettings, test: events.TestTimed, lane: str) -> str:
    """The budget of a test, as it is written; "" where it has none."""
    named = [budget.tests[name] for name in {lane, *test.marks} if name in budget.tests]
    return max(named, key=seconds) if named else budget.test


def over(budget: BudgetSettings, run: Observed) -> dict[str, float]:
    """The seconds of the tests that take more than their budget."""
    return {
        node_id: own_s(test)
        for node_id, test in run.tests.items()
        if (limit := limit_of(budget, test, run.lanes.get(node_id, "")))
        and own_s(test) > seconds(limit)
    }


def _tests(budget: BudgetSettings, run: Observed, known: Known) -> Iterator[events.BudgetBroken]:
    for node_id, took_s in sorted(over(budget, run).items(), key=lambda one: -one[1]):
        test = run.tests[node_id]
        limit = limit_of(budget, test, run.lanes.get(node_id, ""))
        allowed_s = known.allowances_s.get(node_id)
        if allowed_s is not None and took_s <= allowed_s:
            continue
        is_new = budget.grace and bool(known.typical_s) and node_id not in known.typical_s
        yield events.BudgetBroken(
            budget="test",
            limit=limit if allowed_s is None else f"{allowed_s:g}s, its allowance",
            seen=seconds_beyond(took_s, seconds(limit) if allowed_s is None else allowed_s),
            node_id=node_id,
            spared=NEW if is_new else "",
            why=_why(test),
        )


def _why(test: events.TestTimed) -> str:
    """What the seconds of a test went to, the largest first."""
    parts = {kind: s for kind, s in test.spent.items() if kind not in events.MADE_ONCE}
    parts |= {
        f"fixture {key.rpartition('::')[2]}": sum(both) for key, both in test.fixtures.items()
    }
    parts |= test.waited
    body_s = test.own[1] - sum(test.waited.values())
    parts |= {"body": body_s, "set-up": test.own[0], "teardown": test.own[2]}
    largest = sorted(parts.items(), key=lambda one: -one[1])[:_SHOWN]
    least_s = sum(parts.values()) / 100
    return ", ".join(f"{name} {_told(s)}" for name, s in largest if s >= least_s)


def _told(took_s: float) -> str:
    return seconds_beyond(took_s, 0.0)


def _suite(budget: BudgetSettings, run: Observed, known: Known) -> Iterator[events.BudgetBroken]:
    if budget.wall and run.wall_s > seconds(budget.wall):
        seen = beyond(run.wall_s, seconds(budget.wall), 1)
        yield events.BudgetBroken(budget="wall", limit=budget.wall, seen=f"{seen}s")
    both = [node_id for node_id in run.tests if node_id in known.typical_s]
    before_s = sum(known.typical_s[node_id] for node_id in both)
    if not budget.regression or not before_s:
        return
    grown_s = {node_id: own_s(run.tests[node_id]) - known.typical_s[node_id] for node_id in both}
    growth = sum(grown_s.values()) / before_s
    if growth > share(budget.regression):
        most = sorted(grown_s.items(), key=lambda one: -one[1])[:_SHOWN]
        yield events.BudgetBroken(
            budget="regression",
            limit=budget.regression,
            seen=f"{beyond(100 * growth, 100 * share(budget.regression), 0)}% over "
            f"{before_s:.1f}s by the duration history",
            why=", ".join(f"{node_id} +{s:.2f}s" for node_id, s in most if s > 0),
        )


def _memory(budget: BudgetSettings, run: Observed) -> Iterator[events.BudgetBroken]:
    if budget.memory and run.peak_bytes and run.peak_bytes > size_bytes(budget.memory):
        seen = beyond(run.peak_bytes / 1e6, size_bytes(budget.memory) / 1e6, 0)
        yield events.BudgetBroken(budget="memory", limit=budget.memory, seen=f"{seen}MB")


def _counters(budget: BudgetSettings, run: Observed) -> Iterator[events.BudgetBroken]:
    for name, most in budget.counters.items():
        counted = {
            node_id: run.clones.get(node_id, 0)
            if name == "clones"
            else sum(test.counts.get(counted_as, 0) for counted_as in _COUNTED[name])
            for node_id, test in run.tests.items()
        }
        for node_id, times in sorted(counted.items(), key=lambda one: -one[1]):
            if times > most:
                yield events.BudgetBroken(
                    budget=name, limit=str(most), seen=str(times), node_id=node_id
                )


def ratcheted(
    before: Mapping[str, float] | None, slow: Mapping[str, float], ran: Collection[str]
) -> dict[str, float]:
    """The allowances after a run: they shrink, or go, and never grow.

    Args:
        before: The allowances; None where there are none yet, and every slow test gets one.
        slow: The seconds of the tests that are over their budget.
        ran: The tests that ran: others keep theirs.
    """
    fresh = {node_id: _rounded_up(took_s) for node_id, took_s in slow.items()}
    if before is None:
        return fresh
    return {
        node_id: min(allowed_s, fresh.get(node_id, allowed_s))
        for node_id, allowed_s in before.items()
        if node_id in slow or node_id not in ran
    }


def _rounded_up(took_s: float) -> float:
    """A fifth more, so that noise does not break it."""
    return round(1.2 * took_s + 0.005, 2)
