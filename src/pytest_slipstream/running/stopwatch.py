"""What the phases of a test take, and the wider fixtures in them, in the process that runs it.

The invariant: each second is counted once: in the test's own phase, in the innermost wider fixture
that took it, or, if a database was prepared meanwhile, in neither. The clock is the run's own,
which a test cannot freeze.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec
import pytest

from pytest_slipstream.clock import clock
from pytest_slipstream.running.collected import fixture_key, node_id

Wrapper = Generator[None, Any, Any]

MEASURED = "slipstream_measured"
"""The attribute of a report that carries what its phase took."""


class Measured(msgspec.Struct, frozen=True, array_like=True):
    """What one phase took.

    Args:
        node_id: The test's.
        seconds: The test's own, without wider fixtures.
        fixtures: For each wider fixture the seconds of its set-up and of its teardown; None for
            what did not happen in this phase.
    """

    node_id: str
    seconds: float
    fixtures: dict[str, tuple[float | None, float | None]]


def measured(report: pytest.TestReport) -> Measured | None:
    """What a report carries, also one that came from another process."""
    carried = getattr(report, MEASURED, None)
    return None if carried is None else Measured(*carried)


class Stopwatch:
    """Registered in each process that runs tests, and told there of each phase.

    Args:
        preparing_s: Seconds spent on databases so far: the run's, not the first test's.
    """

    def __init__(self, preparing_s: Callable[[], float]) -> None:
        self._preparing_s = preparing_s
        self._prepared_s = self._own_s = 0.0
        self._inner_s = 0.0
        self._set_up: dict[str, float] = {}
        self._torn_down: dict[str, float] = {}

    def begin(self) -> None:
        """A phase begins."""
        self._prepared_s = self._preparing_s()

    def end(self, took_s: float) -> None:
        """It is over, and took so long."""
        self._own_s = took_s - self._inner_s - (self._preparing_s() - self._prepared_s)

    def sign(self, report: pytest.TestReport, item: pytest.Item) -> None:
        """Put what was measured since on a report, as values that pytest-xdist can send."""
        fixtures = {}
        if self._set_up or self._torn_down:
            fixtures = {
                key: (self._set_up.get(key), self._torn_down.get(key))
                for key in self._set_up | self._torn_down
            }
            self._set_up, self._torn_down = {}, {}
        setattr(report, MEASURED, [node_id(item), self._own_s, fixtures])
        self._inner_s = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Wrapper:
        """Measure a wider fixture, and see to it that its teardown is measured."""
        __tracebackhide__ = True
        if fixturedef.scope == "function":
            return (yield)
        key = fixture_key(fixturedef)
        # Finalizers run last in, first out: these two enclose the fixture's own, and those of
        # fixtures that depend on it come before both.
        teardown = _Interval()
        fixturedef.addfinalizer(lambda: self._finished(key, teardown))
        outer_s, self._inner_s = self._inner_s, 0.0
        began = clock.seconds() - self._preparing_s()
        try:
            return (yield)
        finally:
            took = clock.seconds() - self._preparing_s() - began
            self._set_up[key] = self._set_up.get(key, 0.0) + took - self._inner_s
            self._inner_s = outer_s + took
            fixturedef.addfinalizer(teardown.begin)

    def _finished(self, key: str, teardown: _Interval) -> None:
        took = teardown.seconds()
        self._torn_down[key] = self._torn_down.get(key, 0.0) + took
        self._inner_s += took


class _Interval:
    def __init__(self) -> None:
        self._began = clock.seconds()

    def begin(self) -> None:
        self._began = clock.seconds()

    def seconds(self) -> float:
        return clock.seconds() - self._began
