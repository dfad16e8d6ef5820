"""The duration history as one run uses it.

The invariant: what is wrong with it costs the history, never a test result, and is said once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.durations import History


class RunHistory:
    """Registered in each process, so that what is wrong is said.

    Args:
        path: The file that is read.
        target: The file that is written. Not the same for a shard: machines that share a directory
            must split by the same history.

    Attributes:
        problem: What is wrong, if anything is.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._path = path
        self._target = target
        self.problem: str | None = None

    def read(self) -> History:
        """What is known; nothing where the file cannot be read."""
        try:
            return history_file.read(self._path)
        except SlipstreamError as error:
            self.problem = str(error)
            return History()

    def write(self, history: History) -> None:
        """Keep what was learnt, unless that would destroy what cannot be read."""
        if self.problem is not None:
            return
        try:
            history_file.write(self._target, history)
        except OSError as error:
            self.problem = f"the duration history {self._target} cannot be written: {error}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is wrong."""
        if self.problem is not None:
            terminalreporter.write_line(f"slipstream: {self.problem}")
