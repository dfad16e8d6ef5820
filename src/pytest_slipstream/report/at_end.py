"""Writes reports and keeps the run among the past ones, at the end of a run.

Registered in the process that reports.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream import garbage, record
from pytest_slipstream.settings import Settings


class ReportsAtEnd:
    """What is done with the run record when it is complete.

    Args:
        settings: Say which reports, and how many past runs.
        rootdir: pytest's.
        written: The run record.

    Raises:
        ConfigurationError: A report cannot be written.
    """

    def __init__(self, settings: Settings, rootdir: Path, written: record.Record) -> None:
        self._targets = settings.report
        self._past_runs = settings.past_runs
        self._rootdir = rootdir
        self._record = written
        self._problems: list[str] = []
        self._printed = ""
        if self._targets:
            from pytest_slipstream.report import writing

            writing.check(self._targets)

    @garbage.paused()
    def finish(self, uid: str) -> None:
        """All events are in the record."""
        if self._record.problem is not None:
            return
        happened = self._record.read()
        if self._past_runs:
            from pytest_slipstream.report import past  # the first test begins sooner

            try:
                if (run := past.past_run(happened, uid)) is not None:
                    past.keep(self._rootdir, run, self._past_runs)
            except OSError as error:
                self._problems.append(f"the run is not kept among the past ones: {error}")
        if self._targets:
            from pytest_slipstream.report import writing  # an ordinary run ends without it

            problems, self._printed = writing.write(self._targets, happened, self._rootdir)
            self._problems += problems

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what went wrong, and what GitHub looks for in a log."""
        for problem in self._problems:
            terminalreporter.write_line(f"slipstream: {problem}")
        if self._printed:
            terminalreporter.write_line("")
            terminalreporter.write(self._printed)
