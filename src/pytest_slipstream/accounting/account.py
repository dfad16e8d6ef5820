"""Measures where the seconds of this process go, and writes one event for each test and one at
the end.

The invariant: nothing that a test or a plugin does reaches the figures but by taking time: the
clock is the run's own, and a test that is not known is not measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_slipstream import events
from pytest_slipstream.accounting.imports import Imports
from pytest_slipstream.accounting.process_start import age_s
from pytest_slipstream.accounting.turn import FIXTURE, SETUP, TEARDOWN, Interval, Turn
from pytest_slipstream.clock import clock

if TYPE_CHECKING:
    from unittest import TestCase

Wrapper = Generator[None, Any, Any]

_WORK: dict[type[events.Event], str] = {
    events.ServerReady: "server",
    events.TemplateReady: "template",
    events.SlotReady: "slot",
    events.TestCleaned: "cleaning",
    events.LayerPushed: "layers",
    events.LayerPopped: "layers",
}
_PARAMETER = "get_direct_param_fixture_func"
"""pytest's function of what is a parameter and no fixture."""

_TEST_MODULES = "test modules"
"""What pytest runs without Python's import system, by ``--import-mode=importlib``."""

_IMPORTED_S = 0.001
"""Packages that took less are not told apart."""

_CHARACTERS = 300
_AHEAD = frozenset(("server", "template", "slot"))


def _measured(phase: int) -> Callable[[Account, pytest.Item], Wrapper]:
    """The hook around a phase. A test runs through many hooks: each is as short as can be."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def around(self: Account, item: pytest.Item) -> Wrapper:
        __tracebackhide__ = True
        turn, watch = self._turns.get(item), self.stopwatch
        if turn is None:
            return (yield)
        if watch is not None:
            watch.begin()
        turn.begin()
        try:
            return (yield)
        finally:
            took_s = turn.end(phase)
            if watch is not None:
                watch.end(took_s)

    return around


class Watch(Protocol):
    """Measures phases for another purpose."""

    def begin(self) -> None:
        """A phase begins."""

    def end(self, took_s: float) -> None:
        """It is over, and took so long."""

    def sign(self, report: pytest.TestReport, item: pytest.Item) -> None:
        """Put what it took on its report."""


class Account:
    """Registered last in each process that runs tests, so that it encloses what others do.

    Args:
        emit: Takes the events.
        detail: Whether statements are told apart by their text, and waits by their place.

    Attributes:
        running: Tells whose code is running, where tests overlap.
        stopwatch: Told of each phase where durations are recorded: to enclose phases twice would
            cost more than to measure them.
        imports: What imports take; put up and taken down with the run.
    """

    def __init__(self, emit: Callable[[events.Event], None], *, detail: bool = False) -> None:
        self._emit = emit
        self._detail = detail
        self._thread = get_ident()
        self._configured_at = clock.seconds()
        self._age_s = age_s()
        self._started_at = self._configured_at
        self._collecting_s = 0.0
        self._running_at: float | None = None
        self._ended_at: float | None = None
        self._imports: dict[str, float] = {}
        self._importing_s = [0.0, 0.0]
        self._turns: dict[pytest.Item, Turn] = {}
        self.running: Callable[[], pytest.Item | None] = lambda: None
        self.stopwatch: Watch | None = None
        self.imports = Imports(self._imported_in_test)

    def whose(self) -> Turn | None:
        """The test that the running code belongs to: in flight, or the one in its own thread."""
        item = self.running()
        if item is not None:
            turn = self._turns.get(item)
            if turn is not None:
                turn.overlaps = len(self._turns) > 1
            return turn
        if len(self._turns) != 1 or get_ident() != self._thread:
            return None
        return next(iter(self._turns.values()))

    def _current(self) -> Turn | None:
        """The running test; None while tests overlap for what none of them is known to do."""
        item = self.running()
        if item is not None:
            return self._turns.get(item)
        return next(iter(self._turns.values())) if len(self._turns) == 1 else None

    # What is told.

    def heard(self, event: events.Event) -> None:
        """Slipstream did something for the running test; listens to the record."""
        kind = _WORK.get(type(event))
        if kind is None:
            return
        seconds = getattr(event, "seconds", 0.0)
        turn = self._current() or (self._ahead(seconds) if kind in _AHEAD else None)
        if turn is not None:
            turn.charge(kind, seconds, takes_over=True)

    def _ahead(self, seconds: float) -> Turn | None:
        """A test in flight begins with what was made for it before pytest's protocol."""
        item = self.running()
        if item is None:
            return None
        return self._turns.setdefault(item, Turn(item.nodeid, clock.seconds() - seconds))

    def charge(self, kind: str, seconds: float, cpu_s: float, statement: str) -> None:
        """A connection of the application's did something for the running test."""
        turn = self._current()
        if turn is not None:
            text = " ".join(statement.split())[:_CHARACTERS] if self._detail else ""
            turn.charge(kind, seconds, cpu_s, statement=text)

    def _imported_in_test(self, seconds: float, cpu_s: float) -> None:
        """The first test that needs a module imports it, and is not to blame for it."""
        turn = self._current()
        if turn is not None:
            turn.charge("imports", seconds, cpu_s)

    # The stages of the process.

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """The conftests of the command line's directories are loaded."""
        self._started_at = clock.seconds()
        self._importing_s[0] = self.imports.total_s

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Wrapper:
        """Measure the collection."""
        began, importing_s = clock.seconds(), self.imports.total_s
        try:
            return (yield)
        finally:
            self._collecting_s = clock.seconds() - began
            self._importing_s[1] = self.imports.total_s - importing_s

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Wrapper:
        """Measure what importing a test module takes."""
        load = getattr(collector, "_getobj", None) if isinstance(collector, pytest.Module) else None
        if load is not None:
            vars(collector)["_getobj"] = partial(self._imported, collector.nodeid, load)
        return (yield)

    def _imported(self, module: str, load: Callable[[], object]) -> object:
        began = clock.seconds()
        self.imports.begin(_TEST_MODULES)
        try:
            return load()
        finally:
            self.imports.end()
            took_s = clock.seconds() - began
            self._imports[module] = self._imports.get(module, 0.0) + took_s

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Wrapper:
        """Measure the run of all tests."""
        self._running_at = clock.seconds()
        try:
            return (yield)
        finally:
            self._ended_at = clock.seconds()

    def continue_as_worker(self) -> None:
        """This process was forked to run tests; what was before is its parent's."""
        self._age_s, self._collecting_s, self._imports = age_s(), 0.0, {}
        self._importing_s = [0.0, 0.0]
        self.imports.forget()
        self._configured_at = self._started_at = self._running_at = clock.seconds()

    def finish(self) -> None:
        """Write what the stages took, if tests were to be run."""
        if self._running_at is not None:
            ended_at = clock.seconds() if self._ended_at is None else self._ended_at
            self._emit(
                events.ProcessTimed(
                    began=clock.unix_of(self._configured_at) - self._age_s,
                    starting_seconds=self._age_s,
                    conftest_seconds=self._started_at - self._configured_at,
                    collecting_seconds=self._collecting_s,
                    running_seconds=ended_at - self._running_at,
                    imports={name: round(s, 6) for name, s in self._imports.items()},
                    importing=(self._importing_s[0], self._importing_s[1]),
                    packages={
                        name: round(s, 6)
                        for name, s in self.imports.packages.items()
                        if s >= _IMPORTED_S
                    },
                )
            )

    # A test.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Wrapper:
        """Measure a test, and write what it took."""
        turn = self._turns.setdefault(item, Turn(item.nodeid, clock.seconds()))
        try:
            return (yield)
        finally:
            del self._turns[item]
            marks = (mark.name for node in item.listchain()[::-1] for mark in node.own_markers)
            self._emit(turn.timed(tuple(dict.fromkeys(marks))))
            if self._detail:
                self._tell_detail(turn)

    def _tell_detail(self, turn: Turn) -> None:
        if statements := turn.statements():
            self._emit(events.StatementsTimed(node_id=turn.node_id, statements=statements))
        if waits := turn.waits():
            self._emit(events.WaitsTimed(node_id=turn.node_id, waits=waits))

    pytest_runtest_setup = _measured(SETUP)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Wrapper:
        """Measure the test's body, and what a TestCase's set-up takes in it."""
        __tracebackhide__ = True
        turn, watch = self._turns.get(item), self.stopwatch
        if turn is None:
            return (yield)
        if type(item) is not pytest.Function:
            _measure_case(turn, item)
        if watch is not None:
            watch.begin()
        turn.begin_call()
        try:
            return (yield)
        finally:
            took_s = turn.end_call()
            if watch is not None:
                watch.end(took_s)

    pytest_runtest_teardown = _measured(TEARDOWN)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Wrapper:
        """Measure a fixture, and see to it that its teardown is measured."""
        __tracebackhide__ = True
        turn = self._current()
        if turn is None or getattr(fixturedef.func, "__name__", "") == _PARAMETER:
            return (yield)
        key = f"{fixturedef.baseid}::{fixturedef.argname}"
        # Finalizers run last in, first out: these two enclose the fixture's own, if it has any.
        wider = fixturedef.scope != "function"
        teardown = _Teardown(key, wider, self._current)
        fixturedef.addfinalizer(teardown.end)
        before = len(fixturedef._finalizers)
        if wider:
            turn.begin_wider()
        interval = Interval(turn, FIXTURE)
        try:
            return (yield)
        finally:
            turn.fixture(key, 0, interval.end(), wider=wider)
            if wider:
                turn.end_wider()
            else:
                turn.count("fixture set-ups")
            if len(fixturedef._finalizers) != before:
                fixturedef.addfinalizer(teardown.begin)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Wrapper:
        """Learn what became of the test."""
        report: pytest.TestReport = yield
        if not report.passed and (turn := self._turns.get(item)) is not None:
            failed = "failed" if report.when == "call" else "error"
            turn.outcome = failed if report.failed else "skipped"
        if self.stopwatch is not None:
            self.stopwatch.sign(report, item)
        return report


class _Teardown:
    """Of a fixture, in whichever test it comes."""

    def __init__(self, key: str, wider: bool, current: Callable[[], Turn | None]) -> None:
        self._key = key
        self._wider = wider
        self._current = current
        self._turn: Turn | None = None
        self._interval: Interval | None = None

    def begin(self) -> None:
        """The fixture's own finalizers come now."""
        self._turn = self._current()
        if self._turn is not None:
            if self._wider:
                self._turn.begin_wider()
            self._interval = Interval(self._turn, FIXTURE)

    def end(self) -> None:
        """They are over."""
        if self._turn is not None and self._interval is not None:
            self._turn.fixture(self._key, 1, self._interval.end(), wider=self._wider)
            if self._wider:
                self._turn.end_wider()
            self._turn = self._interval = None


def _measure_case(turn: Turn, item: pytest.Item) -> None:
    case = getattr(item, "instance", None)
    unittest = sys.modules.get("unittest")  # not imported for suites that do without
    if unittest is not None and isinstance(case, unittest.TestCase):
        for end, name in enumerate(("setUp", "tearDown")):
            vars(case)[name] = partial(_timed, turn, f"{item.nodeid}::{name}", end, case, name)


def _timed(turn: Turn, key: str, end: int, case: TestCase, name: str) -> object:
    """A TestCase's own set-up or teardown, which pytest runs as part of the body."""
    __tracebackhide__ = True
    interval = Interval(turn, FIXTURE)
    try:
        return getattr(type(case), name)(case)
    finally:
        turn.fixture(key, end, interval.end())
