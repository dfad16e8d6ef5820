"""From phases to tests."""

from __future__ import annotations

import pytest

from pytest_slipstream.measure import outcomes
from pytest_slipstream.measure.outcomes import End, Phase, Session, Test

SESSION = Session("/p", "3.12.1", "9.0.0", {}, 0, "")


def phases(node_id: str, setup: str = "passed", call: str = "", teardown: str = "passed", xfail=()):
    """The reports of one attempt."""
    whens = {"setup": setup, "call": call, "teardown": teardown}
    return [
        Phase(node_id, when, outcome, when in xfail, 0.5)
        for when, outcome in whens.items()
        if outcome
    ]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        (phases("a", call="passed"), "passed"),
        (phases("a", call="failed"), "failed"),
        (phases("a", setup="failed"), "error"),
        (phases("a", call="passed", teardown="failed"), "error"),
        (phases("a", call="failed", teardown="failed"), "error"),
        (phases("a", setup="skipped"), "skipped"),
        (phases("a", call="skipped"), "skipped"),
        (phases("a", call="skipped", xfail=("call",)), "xfailed"),
        (phases("a", setup="skipped", xfail=("setup",)), "xfailed"),
        (phases("a", call="passed", xfail=("call",)), "xpassed"),
    ],
)
def test_the_outcome_of_a_test(reports, expected):
    assert outcomes.noted(reports).tests["a"].outcome == expected


def test_of_a_test_that_is_run_again_the_last_attempt_counts():
    again = [*phases("a", call="rerun"), *phases("a", call="passed")]
    noted = outcomes.noted(again)
    assert noted.tests == {"a": Test("passed", 1.5)}


def test_tests_in_flight_together_are_told_apart():
    one, other = phases("a", call="failed"), phases("b", call="passed")
    mixed = [line for both in zip(one, other, strict=True) for line in both]
    assert {name: test.outcome for name, test in outcomes.noted(mixed).tests.items()} == {
        "a": "failed",
        "b": "passed",
    }


def test_a_line_cut_short_is_left_out(tmp_path):
    (tmp_path / "1.jsonl").write_bytes(b'{"kind":"end","status":1}\n{"kind":"end","sta')
    assert outcomes.read(tmp_path).ends == (End(1),)


def test_several_sessions_are_one_run():
    lines = [
        SESSION,
        *phases("a", call="passed"),
        End(0),
        SESSION,
        *phases("b", call="passed"),
        End(1),
    ]
    noted = outcomes.noted(lines)
    assert (len(noted.sessions), [end.status for end in noted.ends]) == (2, [0, 1])
    assert noted.tests.keys() == {"a", "b"}


def test_composition_by_lane_then_outcome():
    tests = {"a": Test("passed", 1), "b": Test("failed", 1), "c": Test("passed", 1)}
    assert outcomes.composition(tests, {}) == {"": {"passed": 2, "failed": 1}}
    lanes = {"a": "fast", "b": "real", "c": "real"}
    assert outcomes.composition(tests, lanes) == {
        "fast": {"passed": 1},
        "real": {"passed": 1, "failed": 1},
    }


def test_a_percentile_needs_twenty_tests():
    few = {str(n): Test("passed", n) for n in range(19)}
    assert outcomes.test_seconds(few).p95_s is None
    seconds = outcomes.test_seconds(few | {"x": Test("passed", 100)})
    assert seconds.p95_s is not None
    assert 18 <= seconds.p95_s <= 100
    assert (seconds.longest, seconds.longest_s) == ("x", 100)
