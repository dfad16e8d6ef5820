"""Whether workers are worth it, and what limits them."""

from __future__ import annotations

import pytest

from pytest_slipstream.scheduling.prediction import Start, described, duration, fastest, predict
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test

START = Start(once_s=0.2, each_s=0.1)


def some(*seconds: float) -> list[Test]:
    return [Test(f"test_{n}.py::test_it", taken) for n, taken in enumerate(seconds)]


def choose(suite: Suite, *counts: int):
    return fastest(predict(suite, count, START) for count in counts)


def test_three_short_tests_start_no_worker():
    chosen = choose(Suite(some(0.1, 0.1, 0.1)), 0, 1, 2, 4)
    assert chosen.workers == 0


def test_a_long_suite_takes_all():
    assert choose(Suite(some(*[1.0] * 100)), 0, 1, 2, 4).workers == 4


def test_no_more_workers_than_the_longest_test_lets_gain():
    assert choose(Suite(some(8.0, *[0.1] * 80)), 0, 1, 2, 4, 8).workers == 2


@pytest.mark.parametrize(
    ("suite", "workers", "limit"),
    [
        (Suite(some(8.0, *[0.1] * 40)), 2, "the longest test, test_0.py::test_it"),
        (Suite(some(*[0.1] * 100)), 2, "the number of workers"),
        (Suite(some(0.01, 0.01)), 2, "starting the workers"),
        (
            Suite([Test(f"a.py::{n}", 1.0, group="g") for n in range(9)]),
            2,
            "tests that share fixtures or a group",
        ),
        (Suite(some(1.0)), 0, "running one test after the other"),
    ],
)
def test_it_says_what_limits(suite, workers, limit):
    assert predict(suite, workers, START).limit == limit


def test_in_sequence_each_fixture_is_paid_once():
    suite = Suite([Test("a", 1.0, ("f",)), Test("b", 1.0, ("f",))], {"f": Fixture(3.0)})
    assert predict(suite, 0, START).seconds == 5.0


def test_the_line():
    suite = Suite(some(8.0, *[0.1] * 90))
    sequence, two = predict(suite, 0, START), predict(suite, 2, START)
    assert described(sequence, two) == (
        "in sequence 17 s, --workers 2 8.9 s, limited by the number of workers"
    )
    assert described(sequence, sequence) == "in sequence 17 s, which workers would not shorten"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (9.94, "9.9 s"), (12.3, "12 s"), (1200, "20 min")]
)
def test_seconds_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text
