"""Watches a run that has budgets, and judges it at its end.

Registered in the process that reports. The invariant: what is wrong with what budgets are compared
with costs the comparison, never a test result, and is said.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_slipstream import events, record
from pytest_slipstream.clock import clock
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.measure import allowances
from pytest_slipstream.measure.budget import Known, broken, observed
from pytest_slipstream.measure.memory import MemoryWatch
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.durations import join, typical
from pytest_slipstream.scheduling.machine import machine_class
from pytest_slipstream.settings import OVER_BUDGET, Settings

INTERVAL_S = 1.0
"""Between looks at the memory, which take a few milliseconds for each process."""


class BudgetWatch:
    """The watch of one run.

    Args:
        settings: With a budget.
        rootdir: pytest's.
        written: The run record.
    """

    def __init__(self, settings: Settings, rootdir: Path, written: record.Record) -> None:
        self._budget = settings.budget
        self._rootdir = rootdir
        self._history = rootdir / settings.durations_file
        self._record = written
        self._memory = MemoryWatch(lambda users: [])
        self._looked_at = 0.0
        self._known = Known()
        self._problems: list[str] = []

    def pytest_sessionstart(self) -> None:
        """Read what is known before this run adds to it."""
        typical_s: dict[str, float] = {}
        allowances_s: dict[str, float] = {}
        try:
            typical_s = _typical_s(self._history)
            allowances_s = allowances.read(self._rootdir) or {}
        except SlipstreamError as error:
            self._problems.append(str(error))
        self._known = Known(typical_s, allowances_s)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at the memory after a test, once in a while."""
        now = clock.seconds()
        if self._budget.memory and report.when == "call" and now - self._looked_at > INTERVAL_S:
            self._looked_at = now
            self._memory.look(os.getpid())
            seen = self._memory.own
            if seen.seen_bytes:
                self._record.write(events.MemorySeen(kind=seen.kind, own_bytes=seen.seen_bytes))

    def judge(self, exit_status: int) -> int:
        """Write which budgets were broken; all that a run does is in its record by now.

        Args:
            exit_status: pytest's.

        Returns:
            The run's: a failed budget does not hide a failed test.
        """
        if self._record.problem is not None:
            return exit_status
        found = broken(
            self._budget,
            observed(self._record.read()),
            self._known,
            on_ci=bool(os.environ.get("CI")),
        )
        for one in found:
            self._record.write(one)
        fails = exit_status == 0 and any(one.fails for one in found)
        return OVER_BUDGET if fails else exit_status

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is wrong."""
        for problem in self._problems:
            terminalreporter.write_line(f"slipstream: {problem}")


def _typical_s(path: Path) -> dict[str, float]:
    machine = history_file.read(path).machines.get(machine_class())
    tests = machine.tests.items() if machine is not None else ()
    return {
        join(file, rest): typical(samples).total_ms / 1000
        for file, entries in tests
        for rest, samples in entries.items()
    }
