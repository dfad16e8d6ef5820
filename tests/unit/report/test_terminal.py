from __future__ import annotations

from pytest_slipstream import events
from pytest_slipstream.report.terminal import render

STARTED = events.RunStarted(testrun_uid="u", version="1", databases=("main",))
SERVER = events.ServerReady(
    database="main", engine="postgresql", server_version="18.6", started=True, seconds=0.25
)
REUSED = events.TemplateReady(database="main", template="t", built=False, seconds=0.01)


def _cleaned(number: int, escalated: str | None = None) -> events.TestCleaned:
    return events.TestCleaned(
        database="main",
        node_id=f"t.py::test_{number}",
        strategy="reset",
        seconds=0.001 * (number + 1),
        escalated=escalated,
    )


def test_nothing_happened_nothing_is_said() -> None:
    assert list(render([])) == []


def test_block() -> None:
    happened = [
        STARTED,
        SERVER,
        REUSED,
        *(_cleaned(number) for number in range(2)),
        _cleaned(2, escalated="CREATE TABLE public.x"),
        _cleaned(2),
        events.PatternUnmatched(database="main", pattern="nope/*.py"),
        events.LeftoverFound(database="main", node_id="t.py::test_1", kind="thread", detail="'x'"),
        events.RunFinished(exit_status=0, server_seconds=3.0),
    ]
    assert list(render(happened)) == [
        "main: postgresql 18.6 started in 0.25 s; template reused",
        "  3 tests cleaned (3 by reset): median 2.50 ms, 0.01 s in all",
        "  fingerprint 'nope/*.py' matches no file",
        "escalated to clone: 1",
        "  t.py::test_2: CREATE TABLE public.x",
        "left behind and ended: 1",
        "  t.py::test_1: thread 'x'",
        "servers held for 3.0 s",
    ]


def test_lanes_are_shown_with_their_share_and_time() -> None:
    lanes = {"fast": ("sqlite",), "real": ("postgresql",), "other": ("sqlite",)}
    happened = [
        events.RunStarted(testrun_uid="u", version="1", lanes=lanes),
        *(events.TestRan(node_id=f"t{n}", lane="fast", seconds=0.5) for n in range(27)),
        *(events.TestRan(node_id=f"r{n}", lane="real", seconds=0.25) for n in range(2)),
    ]
    assert list(render(happened)) == [
        "lane fast: 27 tests, 93 %, on sqlite in 13.50 s",
        "lane real: 2 tests, 7 %, on postgresql in 0.50 s",
    ]


def test_long_lists_are_cut() -> None:
    happened = [STARTED, SERVER, REUSED, *(_cleaned(number, "DDL") for number in range(30))]
    lines = list(render(happened))
    assert "escalated to clone: 30" in lines
    assert lines[-1] == "  … and 20 more, all in the run record"


def _ran(name: str, began: float, ended: float, reason: str = "") -> events.AsyncTestRan:
    return events.AsyncTestRan(
        node_id=f"t.py::{name}",
        together=not reason,
        reason=reason,
        seconds=ended - began,
        running_seconds=0.1,
        at=ended,
    )


def test_tests_in_flight_together() -> None:
    happened = [
        _ran("a", 0, 4),
        _ran("b", 1, 5),
        _ran("c", 5, 6),
        _ran("d", 8, 9),
        _ran("e", 9, 10, "uses monkeypatch"),
        _ran("f", 10, 11, "uses monkeypatch"),
        events.LoopBlocked(node_id="t.py::a", seconds=1.25),
    ]
    assert list(render(happened)) == [
        "4 tests in flight together, up to 2 at once: 10.0 s of tests in 7.0 s",
        "asynchronous tests that ran alone: 2",
        "  2 uses monkeypatch",
        "blocked the event loop: 1",
        "  t.py::a: 1.2 s",
    ]


def test_other_databases_are_named_with_the_first_test_that_was_running() -> None:
    test = events.TestTimed(
        worker="gw1",
        node_id="t.py::test_a",
        outcome="passed",
        began=10.0,
        seconds=2.0,
        own=(0.0, 0.0, 0.0),
        cpu_seconds=0.0,
    )
    elsewhere = [
        events.ConnectedElsewhere(worker=worker, at=at, target=target)
        for worker, at, target in (
            ("gw0", 9.0, "production"),
            ("gw1", 11.0, "development"),
            ("gw1", 11.5, "production"),
        )
    ]
    lines = list(render([*elsewhere, test]))
    at = lines.index("connected to another database than a slot: 2")
    assert lines[at + 1 : at + 3] == [
        "  production, first in no test",
        "  development, first in t.py::test_a",
    ]
