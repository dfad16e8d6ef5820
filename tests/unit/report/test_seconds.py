from __future__ import annotations

import msgspec
import pytest

from pytest_slipstream import events
from pytest_slipstream.report.seconds import UNATTRIBUTED, account
from pytest_slipstream.report.terminal import render


def timed(worker: str, number: int, **changes: object) -> events.TestTimed:
    values = {
        "worker": worker,
        "node_id": f"t.py::test_{number}",
        "outcome": "passed",
        "began": 103.0 + number,
        "seconds": 0.5,
        "own": (0.05, 0.2, 0.05),
        "cpu_seconds": 0.1,
        "waited": {"sleep": 0.06, "HTTP": 0.01},
        "fixtures_waited": {"sleep": 0.02},
        "fixtures": {"::a": (0.04, 0.01)},
        "spent": {"queries": 0.03, "cleaning": 0.02, "template": 0.03, "imports": 0.02},
        **changes,
    }
    return events.TestTimed(**values)  # type: ignore[arg-type]


def process(worker: str) -> list[events.AnyEvent]:
    return [
        events.ProcessTimed(
            worker=worker,
            began=100.0,
            starting_seconds=1.0,
            conftest_seconds=0.5,
            collecting_seconds=1.0,
            running_seconds=2.0,
            imports={"t.py": 0.7},
            importing=(0.3, 0.75),
            packages={"django": 0.2, "pandas": 0.6},
        ),
        events.RunFinished(worker=worker, at=105.0, exit_status=0, server_seconds=0.0),
    ]


def test_buckets_sum_to_the_whole() -> None:
    happened = [timed("main", 0), timed("main", 1), *process("main")]
    spent = account(happened)
    assert spent.total_s == pytest.approx(5.0)
    assert spent.workers == 1
    assert spent.buckets == pytest.approx(
        {
            "interpreter and plugins": 1.0,
            "conftests and configuration": 0.2,
            "imports, by conftests": 0.3,
            "imports, by test modules": 0.75,
            "imports, in tests": 0.04,
            "collecting": 0.25,
            "test bodies: processor": 0.2,
            "test bodies: sleep": 0.12,
            "test bodies: HTTP": 0.02,
            "test bodies: waiting, not known for what": 0.06,
            "fixtures": 0.06,
            "fixtures: sleep": 0.04,
            "queries": 0.06,
            "databases: cleaning": 0.04,
            "databases: server, template, slot": 0.06,
            "pytest and its plugins, around tests": 0.3,
            "pytest and its plugins, between tests": 1.0,
            UNATTRIBUTED: 0.5,
        }
    )
    assert spent.fixtures == {"::a": pytest.approx((0.08, 0.02))}
    assert list(spent.packages.items()) == [("pandas", 0.6), ("django", 0.2)]


def test_a_wait_that_rounds_to_nothing() -> None:
    spent = account([timed("main", 0, waited={"sleep": 0.0}, fixtures_waited={"sleep": 0.0})])
    assert spent.total_s == pytest.approx(0.5)


def test_what_was_waited_is_no_more_than_there_is() -> None:
    spent = account([timed("main", 0, cpu_seconds=0.16, waited={"sleep": 0.06, "HTTP": 0.02})])
    assert spent.total_s == pytest.approx(0.5)
    assert spent.buckets["test bodies: sleep"] == pytest.approx(0.03)
    assert spent.buckets["test bodies: HTTP"] == pytest.approx(0.01)
    assert "test bodies: waiting, not known for what" not in spent.buckets


def test_workers_wait_where_one_process_does_not() -> None:
    controller, end = process("main")
    assert isinstance(controller, events.ProcessTimed)
    happened = [timed("gw0", 0), *process("gw0")]
    xdist = account([*happened, msgspec.structs.replace(controller, imports={}), end])
    assert xdist.workers == 1
    assert xdist.buckets["idle, between tests"] == pytest.approx(0.5)
    assert xdist.buckets["idle, after the last"] == pytest.approx(1.0)
    assert xdist.total_s == pytest.approx(5.0)
    collecting = account([*happened, controller, end])
    assert collecting.workers == 1
    assert collecting.total_s == pytest.approx(8.0)  # it waits while the worker works


def test_tests_that_overlap_share_the_seconds_of_their_process() -> None:
    together = [
        events.AsyncTestRan(
            at=at,
            node_id=f"t.py::test_{number}",
            together=True,
            reason="",
            seconds=1.0,
            running_seconds=0.25,
        )
        for number, at in enumerate((104.0, 104.5))
    ]
    tests = [timed("main", n, began=103.0 + n / 2, seconds=1.0) for n in range(2)]
    spent = account([*together, *tests, *process("main")])
    assert spent.buckets["tests in flight together: running"] == pytest.approx(0.42)
    assert spent.buckets["tests in flight together: all waiting"] == pytest.approx(0.94)
    assert spent.buckets["imports, in tests"] == pytest.approx(0.04)
    assert spent.buckets["databases: cleaning"] == pytest.approx(0.04)
    assert spent.total_s == pytest.approx(5.0)


def test_of_a_process_that_was_killed_its_tests_are_known() -> None:
    spent = account([timed("gw0", 0)])
    assert spent.total_s == pytest.approx(0.5)
    assert spent.workers == 1


def test_terminal_shows_what_took_a_hundredth() -> None:
    lines = list(render([timed("main", 0), timed("main", 1), *process("main")]))
    assert lines[0] == "where 5.0 s of one process went:"
    assert "   20 %  1.00 s  interpreter and plugins" in lines
    assert lines[-3:] == [
        "         of which 0.10 s in the fixture a",
        "         of which 0.60 s importing pandas",
        "         of which 0.20 s importing django",
    ]
    assert not any("cleaning" in line for line in lines)
