from __future__ import annotations

import pytest

from pytest_slipstream.accounting.statements import kind
from pytest_slipstream.accounting.turn import CALL, SETUP, Interval, Turn
from pytest_slipstream.clock import clock


def _work_until(seconds: float) -> float:
    began = clock.seconds()
    while clock.seconds() - began < seconds:
        pass
    return clock.seconds() - began


def test_all_parts_of_a_test_add_up() -> None:
    turn = Turn("t.py::test_a", clock.seconds())
    turn.begin()
    fixture = Interval(turn)
    turn.charge("queries", _work_until(0.002))
    inner = Interval(turn)
    _work_until(0.002)
    turn.fixture("inner", 0, inner.end())
    turn.fixture("outer", 0, fixture.end())
    turn.charge("cleaning", _work_until(0.002))
    turn.end(SETUP)
    timed = turn.timed(())
    parts = [*timed.own, *timed.spent.values(), *map(sum, timed.fixtures.values())]
    assert min(parts) >= 0
    assert 0.006 <= sum(parts) <= timed.seconds + 1e-5
    assert timed.spent["queries"] >= 0.002
    assert timed.fixtures["inner"][0] >= 0.002


def test_what_encloses_others_takes_them_over() -> None:
    turn = Turn("t.py::test_a", clock.seconds())
    began = clock.seconds()
    for _ in range(3):
        turn.charge("queries", _work_until(0.0005))
    turn.charge("template", clock.seconds() - began, takes_over=True)
    turn.charge("queries", 0.0)
    timed = turn.timed(())
    assert timed.counts == {"template": 1, "queries": 1}
    assert set(timed.spent) == {"template"}
    assert turn.inner_s == pytest.approx(timed.spent["template"], abs=1e-5)


def test_what_wider_fixtures_do_is_not_counted_of_a_test() -> None:
    turn = Turn("t.py::test_a", clock.seconds())
    before_s = _work_until(0.001)
    turn.charge("queries", before_s)
    wider = []
    for _ in range(2):  # one within the other
        turn.begin_wider()
        wider.append(Interval(turn))
        turn.charge("queries", _work_until(0.001))
    for interval in reversed(wider):
        turn.fixture("wide", 0, interval.end(), wider=True)
        turn.end_wider()
    after_s = _work_until(0.001)
    turn.charge("queries", after_s)
    timed = turn.timed(())
    assert timed.counts == {"queries": 2}
    whole_s = timed.spent["queries"] + sum(map(sum, timed.fixtures.values()))
    assert whole_s - timed.wider_seconds == pytest.approx(before_s + after_s, abs=1e-5)


def test_statements_that_overlap_share_their_seconds() -> None:
    turn = Turn("t.py::test_a", clock.seconds())
    turn.begin()
    began = clock.seconds()
    _work_until(0.001)
    second = clock.seconds()
    _work_until(0.001)
    turn.charge("queries", clock.seconds() - second)  # within the first
    turn.charge("commits", clock.seconds() - began)
    _work_until(0.001)
    turn.charge("queries", clock.seconds() - second)  # begins in it, ends after it
    turn.end(CALL)
    timed = turn.timed(())
    assert timed.counts == {"queries": 2, "commits": 1}
    assert 0.003 <= sum(timed.spent.values()) <= clock.seconds() - began
    assert sum(timed.spent.values()) + sum(timed.own) <= timed.seconds + 1e-5


def test_statements_by_their_text_without_those_of_a_template() -> None:
    turn = Turn("t.py::test_a", clock.seconds())
    began = clock.seconds()
    turn.charge("queries", _work_until(0.0005), statement="select 1")
    turn.charge("template", clock.seconds() - began, takes_over=True)
    turn.charge("queries", _work_until(0.0005), statement="select 2")
    turn.charge("queries", _work_until(0.001), statement="select 2")
    turn.charge("commits", 0.0)
    ((text, (times, seconds)),) = turn.statements().items()
    assert (text, times) == ("select 2", 2)
    assert seconds >= 0.0015


@pytest.mark.parametrize(
    ("statement", "counted_as"),
    [
        ("SELECT 1", "queries"),
        ("-- why\n /* a */ create table x (y int)", "DDL statements"),
        ("TRUNCATE x", "DDL statements"),
        ("SAVEPOINT a", "transaction control"),
        ("commit", "commits"),
        ("(select 1) union (select 2)", "queries"),
        ("", "queries"),
    ],
)
def test_statements_are_told_apart_by_their_first_word(statement: str, counted_as: str) -> None:
    assert kind(statement) == counted_as
