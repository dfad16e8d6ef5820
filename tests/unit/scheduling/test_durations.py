"""Samples, their median, and merging in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.scheduling import durations
from pytest_slipstream.scheduling.durations import EPOCH, History, Machine, Sample, merged, sample

MILLISECONDS = st.integers(0, 5000)
SAMPLES = st.lists(
    st.builds(Sample, st.integers(0, 9), MILLISECONDS, MILLISECONDS, MILLISECONDS), max_size=8
).map(durations.newest)
NAMES = st.sampled_from(["a", "b", "c"])
HISTORIES = st.builds(
    History,
    st.dictionaries(
        NAMES,
        st.builds(
            Machine,
            st.dictionaries(NAMES, st.dictionaries(NAMES, SAMPLES, max_size=3), max_size=3),
            st.dictionaries(NAMES, SAMPLES, max_size=3),
        ),
        max_size=2,
    ),
)


@PROPERTY
@given(HISTORIES, HISTORIES, HISTORIES)
def test_histories_merge_in_any_order_and_as_often_as_one_likes(a, b, c):
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(merged(a, b), b) == merged(a, b)
    assert merged(a, History()) == a


def after(*milliseconds: float) -> durations.Samples:
    """An entry after runs that took so long, a minute apart."""
    samples: durations.Samples = ()
    for minute, taken in enumerate(milliseconds):
        samples = durations.noted(samples, sample(EPOCH + 60 * minute, (0, taken / 1000, 0)))
    return samples


def typical_ms(*milliseconds: float) -> int:
    return durations.typical(after(*milliseconds)).total_ms


@PROPERTY
@given(
    st.lists(st.integers(95, 105), min_size=4, max_size=12),
    st.integers(200, 1_800_000_000),
    st.data(),
)
def test_one_slow_run_moves_nothing(usual, slow, data):
    where = data.draw(st.integers(1, len(usual)))
    assert 95 <= typical_ms(*usual[:where], slow, *usual[where:]) <= 105


def test_a_slow_first_run_is_corrected_by_the_second():
    assert typical_ms(9000, 100) == 100


def test_a_lasting_change_is_believed_by_the_third_run():
    assert typical_ms(100, 100, 100, 300, 300) == 100
    assert typical_ms(100, 100, 100, 300, 300, 300) == 300


def test_what_takes_as_long_as_ever_changes_nothing():
    assert after(100, 103, 97, 110, 100) == after(100, 103)


def test_what_takes_hardly_any_time_changes_nothing():
    assert after(1, 2, 5, 1, 4) == after(1, 2)


def test_a_slow_run_is_forgotten_in_time():
    samples = after(100, 100, 900, *[100] * 6)
    assert {one.total_ms for one in samples} == {100}
    assert len(samples) == durations.WINDOW


@PROPERTY
@given(st.floats(0, 1e9))
def test_milliseconds_have_three_significant_digits(seconds):
    kept = sample(EPOCH, (seconds, 0, 0)).setup_ms
    assert abs(kept - seconds * 1000) <= max(0.5, 0.005 * seconds * 1000)
    assert len(str(kept).rstrip("0")) <= 3


def test_a_clock_that_went_back_and_a_negative_time_are_zero():
    assert sample(0, (-1, 0, 0)) == Sample(0, 0, 0, 0)


@PROPERTY
@given(st.text())
def test_a_node_id_is_taken_apart_and_joined(node_id):
    assert durations.join(*durations.split(node_id)) == node_id


def test_recording_keeps_what_did_not_run_and_other_machines():
    one = sample(EPOCH, (0, 1, 0))
    first = durations.recorded(History(), "m", {"a.py::x": one}, {"a.py::f": one})
    second = durations.recorded(first, "n", {"a.py::y": one}, {})
    third = durations.recorded(second, "m", {"a.py::y": one}, {})
    assert third.machines["n"] == Machine({"a.py": {"y": (one,)}})
    assert third.machines["m"] == Machine({"a.py": {"x": (one,), "y": (one,)}}, {"a.py::f": (one,)})
    assert first.machines["m"].tests == {"a.py": {"x": (one,)}}


def test_pruning_forgets_what_is_gone():
    one = sample(EPOCH, (0, 1, 0))
    history = durations.recorded(
        History(), "m", dict.fromkeys(["a.py::x", "a.py::y", "b.py::z"], one), {"f": one, "g": one}
    )
    left = durations.pruned(history, {"a.py::y"}, {"g"}).machines["m"]
    assert left == Machine({"a.py": {"y": (one,)}}, {"g": (one,)})
