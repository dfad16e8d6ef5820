"""The order of runs, and the time left."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slipstream.measure.timetable import remaining_s, timetable


def test_one_side():
    assert [turn.counts for turn in timetable(1, warmup=2, runs=3)] == [False] * 2 + [True] * 3


def test_pairs_are_turned_round():
    turns = timetable(2, warmup=1, runs=4)
    assert [turn.side for turn in turns] == [0, 1, 0, 1, 1, 0, 0, 1, 1, 0]


@given(st.integers(1, 30))
def test_each_two_runs_are_a_pair(pairs):
    sides = [turn.side for turn in timetable(2, warmup=0, runs=pairs)]
    assert Counter(sides) == {0: pairs, 1: pairs}
    assert all(set(pair) == {0, 1} for pair in zip(sides[::2], sides[1::2], strict=True))


def test_the_time_left():
    turns = timetable(2, warmup=1, runs=1)
    assert remaining_s(turns, [], 5.0) is None
    assert remaining_s(turns, [10.0], 0.0) == 30.0  # the other side is not known
    assert remaining_s(turns, [10.0, 2.0], 0.0) == 12.0
    assert remaining_s(turns, [10.0, 2.0], 4.0) == 8.0
    assert remaining_s(turns, [10.0, 2.0], 99.0) == 2.0  # longer than ever: the rest is to come
    assert remaining_s(turns, [10.0, 2.0, 8.0, 2.0], 0.0) == 0


@given(st.lists(st.floats(0.1, 100), max_size=11), st.floats(0, 1000))
def test_it_is_never_negative(walls_s, elapsed_s):
    left = remaining_s(timetable(2, warmup=1, runs=5), walls_s, elapsed_s)
    assert left is None or left >= 0


def test_of_several_runs_the_median_is_expected():
    turns = timetable(1, warmup=0, runs=4)
    assert remaining_s(turns, [1.0, 9.0, 2.0], 0.0) == pytest.approx(2.0)
