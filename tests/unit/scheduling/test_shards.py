"""Shards: the same split everywhere, and what bad input gets."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.scheduling.shards import Shard, limit, parse, split, that_pay
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test
from suites import suites


@PROPERTY
@given(suites(), st.integers(1, 9), st.randoms())
def test_every_test_is_in_one_shard_whatever_the_order_of_collection(suite, count, chance):
    shuffled = list(suite.tests)
    chance.shuffle(shuffled)
    one, other = split(suite, count), split(Suite(shuffled, suite.fixtures), count)
    assert one.digest == other.digest
    assert sorted(n for shard in one.shards for n in shard) == list(range(len(shuffled)))
    for here, there in zip(one.shards, other.shards, strict=True):
        assert list(here) == sorted(here)
        assert sorted(suite.tests[n].node_id for n in here) == sorted(
            shuffled[n].node_id for n in there
        )


SHARED = """
from pytest_slipstream.scheduling.shards import split
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test

fixtures = {f"{n} {k}": Fixture(k / 10) for n in range(40) for k in range(9)}
tests = [
    Test(f"test_{n}.py::test_it", 1.0, tuple(f"{n} {k}" for k in range(9))) for n in range(40)
]
print(split(Suite(tests, fixtures), 7).digest)
"""


def test_the_split_is_the_same_in_every_process():
    """Python's sets have another order in each, so what is added up in theirs may differ."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", SHARED],
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(digests) == 1


def some(count: int, seconds: float = 1.0) -> list[Test]:
    return [Test(f"test_a.py::test_{n:03}", seconds) for n in range(count)]


def test_the_digest_tells_other_tests_other_durations_and_another_number():
    digests = {
        split(Suite(some(20)), 3).digest,
        split(Suite(some(21)), 3).digest,
        split(Suite([*some(19), Test("test_a.py::test_019", 20.0)]), 3).digest,
        split(Suite(some(20)), 4).digest,
    }
    assert len(digests) == 4


def test_more_shards_than_tests_leave_some_empty():
    assert sorted(map(len, split(Suite(some(2)), 4).shards)) == [0, 0, 1, 1]
    assert split(Suite([]), 2).shards == ((), ())


def test_real_looking_durations_are_split_within_five_percent_of_the_bound():
    chance = random.Random(0)
    long = [Test(f"a.py::{n}", chance.lognormvariate(-3, 1.5)) for n in range(3000)]
    suite = Suite(long)
    assert max(split(suite, 8).seconds) <= 1.05 * suite.lower_bound(8)


@pytest.mark.parametrize(
    ("variables", "shard"),
    [
        ({"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "8"}, Shard(2, 8)),
        ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"}, Shard(1, 3)),
        ({"BUILDKITE_PARALLEL_JOB": "2", "BUILDKITE_PARALLEL_JOB_COUNT": "3"}, Shard(3, 3)),
        ({"STRATEGY_JOB_INDEX": "1", "STRATEGY_JOB_TOTAL": "4"}, Shard(2, 4)),
    ],
)
def test_auto_asks_the_ci_service(variables, shard):
    assert parse("auto", variables) == shard
    assert parse("1/1", variables) == Shard(1, 1)


@pytest.mark.parametrize(
    ("text", "variables", "said", "hint"),
    [
        ("0/8", {}, "the shard is '0/8', and there is no shard 0/8", "valid are 1/8 to 8/8"),
        ("9/8", {}, "the shard is '9/8', and there is no shard 9/8", "valid are 1/8 to 8/8"),
        ("1/0", {}, "there is no shard 1/0", "valid are 1/1 at least"),
        ("a/b", {}, "the shard is 'a/b', and must be two whole numbers", "pytest --shard 2/8"),
        ("-1/8", {}, "must be two whole numbers", "pytest --shard 2/8"),
        ("", {}, "must be two whole numbers", "pytest --shard 2/8"),
        ("auto", {}, "none of CI_NODE_INDEX, CIRCLE_NODE_INDEX", "pytest --shard 2/8"),
        (
            "auto",
            {"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "8"},
            "CI_NODE_INDEX=x of CI_NODE_TOTAL=8 are not numbers",
            "pytest --shard 2/8",
        ),
        (
            "auto",
            {"CI_NODE_INDEX": "9", "CI_NODE_TOTAL": "8"},
            "the shard is auto, from CI_NODE_INDEX=9 of CI_NODE_TOTAL=8, and there is no shard 9/8",
            "valid are 1/8 to 8/8",
        ),
    ],
)
def test_what_bad_input_gets(text, variables, said, hint):
    with pytest.raises(ConfigurationError) as caught:
        parse(text, variables)
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (Suite([*some(10), Test("b.py::b", 60.0)]), "the longest test"),
        (Suite(some(100)), "the number of shards"),
        (
            Suite([Test(f"a.py::{n}", 1.0, ("f",)) for n in range(8)], {"f": Fixture(50.0)}),
            "fixtures that several shards set up, and tests that stay together",
        ),
    ],
)
def test_it_says_what_limits(suite, said):
    assert limit(suite, split(suite, 4)) == said


def test_how_many_shards_pay():
    assert that_pay(Suite(some(10)), start_s=60) == 2
    assert that_pay(Suite(some(600)), start_s=0) in (19, 20)  # 20 gains exactly 5 %
    assert that_pay(Suite(some(3)), start_s=60) == 1
    assert 5 < that_pay(Suite(some(600)), start_s=30) < 20
    assert that_pay(Suite([*some(60), Test("b.py::b", 60.0)]), start_s=0) == 2
