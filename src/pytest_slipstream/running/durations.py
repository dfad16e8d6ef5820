"""What a run learns of durations, for the next one: collected from reports, written at the end.

In the process that reports: the only one, or pytest-xdist's controller. The invariant: a test
counts once, with the phases of its last turn.
"""

from __future__ import annotations

import pytest

from pytest_slipstream import garbage
from pytest_slipstream.clock import clock
from pytest_slipstream.running.history import RunHistory
from pytest_slipstream.running.stopwatch import measured
from pytest_slipstream.scheduling.durations import Sample, Seconds, median, recorded, sample
from pytest_slipstream.scheduling.machine import machine_class

_PHASES = {"setup": 0, "call": 1, "teardown": 2}


class DurationRecorder:
    """Records the tests that did not fail: one that fails may take less, or a timeout."""

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._running: dict[str, list[float]] = {}
        self._tests: dict[str, Seconds] = {}
        self._set_up: dict[str, list[float]] = {}
        self._torn_down: dict[str, list[float]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a phase took."""
        phase = measured(report)
        if phase is None or report.when is None:
            return
        if report.when == "setup":
            self._running[phase.node_id] = [0.0, 0.0, 0.0]
        for key, (set_up, torn_down) in phase.fixtures.items():
            if set_up is not None and report.passed:
                self._set_up.setdefault(key, []).append(set_up)
            if torn_down is not None:
                self._torn_down.setdefault(key, []).append(torn_down)
        seconds = self._running.get(phase.node_id)
        if seconds is None:
            return
        seconds[_PHASES[report.when]] = phase.seconds
        if not report.passed and not report.skipped:
            del self._running[phase.node_id]
        elif report.when == "teardown":
            set_up_s, call_s, teardown_s = self._running.pop(phase.node_id)
            self._tests[phase.node_id] = (set_up_s, call_s, teardown_s)

    @pytest.hookimpl(trylast=True)
    @garbage.paused()
    def pytest_sessionfinish(self) -> None:
        """Add what was learnt to the history, if that makes a difference."""
        if not self._tests:
            return
        before = self._history.read()
        after = recorded(before, machine_class(), *self._samples())
        if after != before:
            self._history.write(after)

    def _samples(self) -> tuple[dict[str, Sample], dict[str, Sample]]:
        at = clock.unix()
        tests = {
            node_id: sample(at, seconds)
            for node_id, seconds in self._tests.items()
            if node_id.isprintable()  # what is not may be a lone surrogate, which no file takes
        }
        fixtures = {
            key: sample(at, (median(set_up), 0.0, median(self._torn_down.get(key, [0.0]))))
            for key, set_up in self._set_up.items()
            if key.isprintable()
        }
        return tests, fixtures
