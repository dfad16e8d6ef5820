"""What the records of machines that pulled add up to."""

from __future__ import annotations

from pathlib import Path

from pytest_slipstream import events
from pytest_slipstream.merging.parts import MachineRun
from pytest_slipstream.merging.verdict import judge
from pytest_slipstream.scheduling.durations import by_file

TESTS = [f"test_a.py::test_{n}" for n in range(4)]


def run(
    machine: str,
    reported: list[str] | None,
    *,
    at: float = 0.0,
    build: str = "b",
    problem: str = "",
    exit_status: int | None = 0,
) -> MachineRun:
    """The run of a machine that reported these tests; None for one that did not come so far."""
    left = None
    if reported is not None:
        left = events.QueueLeft(reported=by_file(reported), problem=problem)
    return MachineRun(
        directory=Path(f"machines/{machine}-{at}"),
        started=events.RunStarted(
            testrun_uid=f"{machine}-{at}", version="1", python="3.13", system="linux", at=at
        ),
        joined=events.QueueJoined(
            build=build, machine=machine, digest="d", collected=by_file(TESTS)
        ),
        left=left,
        exit_status=exit_status,
    )


def test_machines_that_reported_all_between_them_make_a_whole_build() -> None:
    verdict = judge([run("1", TESTS[:3]), run("2", TESTS[3:], exit_status=1)])
    assert verdict.problems == ()
    assert verdict.exit_status() == 1


def test_a_lost_machine_is_no_problem_where_others_reported_its_tests() -> None:
    verdict = judge([run("1", TESTS), run("2", None, exit_status=None)])
    assert verdict.problems == ()
    assert len(verdict.counted) == 1
    assert verdict.notes == ("machine 2 was lost, and did not end; machines/2-0.0 does not count",)


def test_what_a_machine_says_that_was_taken_for_lost_does_not_count() -> None:
    void = run("2", TESTS[:2], problem="silent for too long\nhint: x", exit_status=2)
    verdict = judge([run("1", TESTS), void])
    assert verdict.problems == ()
    assert "machine 2 was lost: silent for too long; " in verdict.notes[0]


def test_tests_that_nobody_reported_are_a_problem() -> None:
    verdict = judge([run("1", TESTS[:3]), run("2", None, exit_status=None)])
    assert verdict.problems == ("reported by no machine: 1 tests: test_a.py::test_3",)
    assert verdict.exit_status() == 2


def test_tests_that_two_reported_are_a_problem() -> None:
    verdict = judge([run("1", TESTS), run("2", TESTS[:1])])
    assert verdict.problems == ("reported by more than one machine: 1 tests: test_a.py::test_0",)


def test_of_a_machine_that_ran_again_the_later_run_counts() -> None:
    verdict = judge([run("1", TESTS, at=1.0), run("1", TESTS, at=2.0)])
    assert verdict.problems == ()
    assert [str(one.directory) for one in verdict.counted] == ["machines/1-2.0"]
    assert "machine 1 ran again later; machines/1-1.0 does not count" in verdict.notes


def test_two_builds_are_not_merged() -> None:
    verdict = judge([run("1", TESTS), run("1", TESTS, build="c")])
    assert verdict.problems == ("there are runs of the builds b and c; merge those of one",)
    assert verdict.exit_status() == 2
