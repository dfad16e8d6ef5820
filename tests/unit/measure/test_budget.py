from __future__ import annotations

import pytest

from pytest_slipstream import events
from pytest_slipstream.measure.budget import Known, broken, observed, ratcheted
from pytest_slipstream.settings import BudgetSettings


def timed(name: str, call_s: float, **changes: object) -> events.TestTimed:
    values = {
        "node_id": name,
        "outcome": "passed",
        "began": 100.0,
        "seconds": call_s + 5.0,
        "own": (0.0, call_s, 0.0),
        "cpu_seconds": 0.0,
        **changes,
    }
    return events.TestTimed(**values)  # type: ignore[arg-type]


def judged(
    budget: BudgetSettings,
    *happened: events.AnyEvent,
    known: Known | None = None,
    on_ci: bool = True,
) -> list[events.BudgetBroken]:
    return broken(budget, observed(happened), known or Known(), on_ci=on_ci)


def test_nothing_is_broken_without_a_budget() -> None:
    assert judged(BudgetSettings(), timed("a", 99.0)) == []


def test_slow_test_is_named_with_what_made_it_slow() -> None:
    slow = timed(
        "t.py::test_a",
        0.5,
        fixtures={"t.py::rows": (0.7, 0.1), "::client": (3.0, 0.0)},
        wider_seconds=3.0,
        spent={"queries": 0.25, "template": 9.0},
    )
    (one,) = judged(BudgetSettings(test="1s"), slow, timed("t.py::test_b", 0.9))
    assert one == events.BudgetBroken(
        budget="test",
        limit="1s",
        seen="1.55s",
        node_id="t.py::test_a",
        why="fixture client 3.00s, fixture rows 0.80s, body 0.50s",
    )


def test_lane_and_marker_have_budgets_of_their_own() -> None:
    budget = BudgetSettings(test="1s", tests={"real": "2s", "slow": "10s"})
    tests = [timed("plain", 1.5), timed("real", 3.0), timed("marked", 9.0, marks=("slow",))]
    lanes = [events.TestRan(node_id=name, lane="real", seconds=1) for name in ("real", "marked")]
    assert [(one.node_id, one.limit) for one in judged(budget, *tests, *lanes)] == [
        ("real", "2s"),
        ("plain", "1s"),
    ]


def test_budgets_of_time_are_warnings_where_there_is_no_ci() -> None:
    budget = BudgetSettings(test="1s", counters={"queries": 0})
    slow = timed("a", 2.0, counts={"queries": 1})
    found = judged(budget, slow, on_ci=False)
    assert [(one.budget, one.fails) for one in found] == [("test", False), ("queries", True)]
    always = BudgetSettings(test="1s", enforce="always")
    assert [one.fails for one in judged(always, slow, on_ci=False)] == [True]


@pytest.mark.parametrize(
    ("seconds", "limit", "seen"),
    [
        (2.0, "1s", "2.00s"),
        (1.00049, "1s", "1.0005s"),
        (0.0042, "1ms", "4.2ms"),
        (0.001004, "1ms", "1.004ms"),
    ],
)
def test_what_was_seen_is_over_the_limit_as_it_is_written(
    seconds: float, limit: str, seen: str
) -> None:
    (one,) = judged(BudgetSettings(test=limit), timed("a", seconds))
    assert one.seen == seen


def test_new_test_has_a_grace() -> None:
    slow = timed("new", 2.0)
    (one,) = judged(BudgetSettings(test="1s"), slow, known=Known({"old": 1.0}))
    assert (one.fails, one.spared) == (False, "the test is new")
    (one,) = judged(BudgetSettings(test="1s", grace=False), slow, known=Known({"old": 1.0}))
    assert one.fails
    (one,) = judged(BudgetSettings(test="1s"), slow)  # nothing is known, so nothing is new
    assert one.fails


def test_allowance_is_kept_to() -> None:
    known = Known({}, {"a": 2.5})
    assert judged(BudgetSettings(test="1s"), timed("a", 2.0), known=known) == []
    (one,) = judged(BudgetSettings(test="1s"), timed("a", 3.0), known=known)
    assert one.limit == "2.5s, its allowance"


def test_regression_counts_tests_that_were_known() -> None:
    known = Known({"a": 1.0, "b": 1.0, "gone": 50.0})
    run = [timed("a", 1.0), timed("b", 1.5), timed("new", 50.0)]
    (one,) = judged(BudgetSettings(regression="20%"), *run, known=known)
    assert (one.budget, one.seen) == ("regression", "25% over 2.0s by the duration history")
    assert one.why == "b +0.50s"
    assert judged(BudgetSettings(regression="30%"), *run, known=known) == []


def test_wall_and_memory() -> None:
    process = events.ProcessTimed(
        at=170.0,
        began=100.0,
        starting_seconds=1,
        conftest_seconds=0,
        collecting_seconds=0,
        running_seconds=0,
    )
    memory = events.MemorySeen(kind="PSS", own_bytes=3 * 10**9)
    budget = BudgetSettings(wall="1m", memory="2GB")
    assert [(one.budget, one.seen) for one in judged(budget, process, memory)] == [
        ("wall", "70.0s"),
        ("memory", "3000MB"),
    ]
    assert judged(BudgetSettings(wall="2m", memory="4GB"), process, memory) == []


def test_counters_hold_for_each_test() -> None:
    cleaned = events.TestCleaned(database="main", node_id="b", strategy="clone", seconds=0.1)
    tests = [timed("a", 0, counts={"queries": 3, "fixture set-ups": 9}), timed("b", 0)]
    budget = BudgetSettings(counters={"queries": 2, "clones": 0, "fixtures": 9})
    found = judged(budget, *tests, cleaned)
    assert [(one.budget, one.node_id, one.seen) for one in found] == [
        ("queries", "a", "3"),
        ("clones", "b", "1"),
    ]


@pytest.mark.parametrize(
    ("before", "slow", "after"),
    [
        (None, {"a": 1.0}, {"a": 1.2}),
        ({"a": 5.0}, {"a": 1.0}, {"a": 1.2}),
        ({"a": 1.0}, {"a": 4.0}, {"a": 1.0}),
        ({"a": 1.0}, {}, {}),
        ({"elsewhere": 1.0}, {}, {"elsewhere": 1.0}),
        ({}, {"a": 1.0}, {}),
    ],
)
def test_allowances_never_grow(
    before: dict[str, float] | None, slow: dict[str, float], after: dict[str, float]
) -> None:
    assert ratcheted(before, slow, ["a", "b"]) == pytest.approx(after, abs=0.01)
