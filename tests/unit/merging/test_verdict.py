"""What a build's records add up to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream import events
from pytest_slipstream.merging.parts import MachineRun
from pytest_slipstream.merging.verdict import judge
from pytest_slipstream.scheduling.durations import by_file
from pytest_slipstream.settings import OVER_BUDGET

TESTS = [f"test_a.py::test_{n}" for n in range(6)]


def run(
    number: int,
    count: int = 3,
    *,
    at: float = 0.0,
    exit_status: int | None = 0,
    digest: str = "aaaa",
    tests: list[str] = TESTS,
    python: str = "3.13",
    lanes: dict[str, tuple[str, ...]] | None = None,
) -> MachineRun:
    """The run of a shard that has every ``count``-th test."""
    own = tests[number - 1 :: count]
    return MachineRun(
        directory=Path(f"shards/{number}"),
        started=events.RunStarted(
            testrun_uid=f"{number}-{at}",
            version="1",
            python=python,
            system="linux",
            lanes=lanes or {},
            at=at,
        ),
        chosen=events.ShardChosen(
            shard=f"{number}/{count}",
            digest=digest,
            tests=len(own),
            of_tests=len(tests),
            seconds=1.0,
            here=by_file(own),
            elsewhere=by_file(test for n, test in enumerate(tests) if n % count != number - 1),
        ),
        exit_status=exit_status,
    )


def whole(exit_status: int | None, *, lane: str = "real") -> MachineRun:
    """A run that was not sharded."""
    started = events.RunStarted(
        testrun_uid="0123456789", version="1", python="3.13", system="linux",
        lanes={lane: ("mysql",)},
    )  # fmt: skip
    return MachineRun(directory=Path(lane), started=started, exit_status=exit_status)


@pytest.mark.parametrize(
    ("runs", "failures", "status"),
    [
        ([run(1), run(2), run(3)], 0, 0),
        ([run(1), run(2, exit_status=1), run(3)], 0, 1),
        ([run(1), run(2), run(3)], 1, 1),
        ([run(1), run(2, exit_status=OVER_BUDGET), run(3)], 0, OVER_BUDGET),
        ([run(1), run(2, exit_status=OVER_BUDGET), run(3, exit_status=1)], 0, 1),
        ([run(1, exit_status=1), run(3)], 1, 2),
        ([run(1, 1), whole(0)], 0, 0),
        ([run(1, 1), whole(1)], 0, 1),
        ([whole(None)], 0, 2),
        ([run(1, 1, exit_status=3)], 0, 2),
    ],
)
def test_the_exit_status_is_the_build_s(runs, failures, status):
    assert judge(runs).exit_status(failures) == status


def test_a_missing_shard_is_named_with_the_tests_that_nobody_ran():
    assert judge([run(3), run(1)]).problems == (
        "missing: shard 2/3",
        "ran on no machine: 2 tests: test_a.py::test_1, test_a.py::test_4",
    )


def test_a_shard_that_did_not_end_and_one_that_ended_otherwise_are_problems():
    problems = judge([run(1, 2, exit_status=None), run(2, 2, exit_status=3)]).problems
    assert problems == (
        "shard 1/2 did not end: its process was killed, or its machine was lost",
        "shard 2/2 ended with exit status 3, an internal error",
    )


def test_shards_that_collected_other_tests_are_told_apart_by_the_tests():
    more = [*TESTS[:-1], "test_b.py::test_new"]
    problems = judge([run(1), run(2, digest="bbbb", tests=more), run(3)]).problems
    assert problems == (
        "the shards were not split alike: digest aaaa on 1/3, 3/3; bbbb on 2/3",
        "collected by shard 1/3 and not by shard 2/3: 1 tests: test_a.py::test_5",
        "collected by shard 2/3 and not by shard 1/3: 1 tests: test_b.py::test_new",
        "ran on no machine: 1 tests: test_b.py::test_new",
    )


def test_shards_that_read_other_histories_may_run_a_test_twice_or_never():
    runs = [run(1, 2), run(2, 2, digest="bbbb", tests=[*reversed(TESTS)])]
    assert judge(runs).problems == (
        "the shards were not split alike: digest aaaa on 1/2; bbbb on 2/2",
        "all collected the same tests, so they read different duration histories",
        "ran on no machine: 3 tests: test_a.py::test_1, test_a.py::test_3, test_a.py::test_5",
        "ran on more than one machine: 3 tests: "
        "test_a.py::test_0, test_a.py::test_2, test_a.py::test_4",
    )


def test_a_test_whose_node_id_is_there_twice_is_two_tests():
    twice = ["test_a.py::test_0"] * 2
    assert judge([run(1, 2, tests=twice), run(2, 2, tests=twice)]).exit_status() == 0


def test_a_long_list_of_tests_is_cut():
    many = [f"test_a.py::test_{n:02}" for n in range(40)]
    assert judge([run(1, 2, tests=many)]).problems[1].endswith("test_19 and 10 more")


def test_of_a_shard_that_ran_again_the_later_run_counts():
    verdict = judge([run(2, 2, at=9.0), run(1, 2), run(2, 2, at=1.0, exit_status=1)])
    assert verdict.exit_status() == 0
    assert verdict.notes == ("shard 2/2 ran again later; shards/2 does not count",)
    assert [one.started.testrun_uid for one in verdict.counted] == ["1-0.0", "2-9.0"]


def test_shards_of_different_numbers_make_no_whole():
    assert judge([run(1, 2), run(2, 2), run(1, 3)]).problems == (
        "there are shards of 2 and of 3 machines",
    )


def test_each_lane_and_each_python_is_a_whole_of_its_own():
    real = {"real": ("mysql",)}
    runs = [run(1, 2), run(2, 2), run(1, 2, python="3.10"), run(1, 1, lanes=real)]
    assert judge(runs).problems == (
        "Python 3.10, linux: missing: shard 2/2",
        "Python 3.10, linux: ran on no machine: 3 tests: "
        "test_a.py::test_1, test_a.py::test_3, test_a.py::test_5",
    )
    assert judge([*runs, run(2, 2, python="3.10")]).exit_status() == 0
