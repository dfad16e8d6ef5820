"""Collects the project's tests as pytest would, for commands that plan or tidy.

The invariant: it is pytest's own collection with the project's own configuration, so that a
command decides on the tests that a run would have.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.settings import load


class Collected:
    """A pytest plugin that keeps what was collected.

    Attributes:
        items: The tests, in order, without those that were deselected.
        every: All of them.
        rootpath: pytest's rootdir.
    """

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []
        self.every: list[pytest.Item] = []
        self.rootpath = Path.cwd()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Learn the rootdir."""
        self.rootpath = config.rootpath

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Keep the item, whatever is deselected later."""
        self.every.append(item)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the items."""
        self.items = list(session.items)

    @property
    def history(self) -> Path:
        """The file of the project's duration history."""
        return self.rootpath / load(self.rootpath, {}, os.environ).durations_file


def collect(arguments: Sequence[str]) -> Collected:
    """Collect in this process.

    Args:
        arguments: For pytest: paths, ``-k``, ``-m``.

    Raises:
        SlipstreamError: A module does not import, or an argument is wrong.
    """
    os.environ.pop("SLIPSTREAM_SHARD", None)  # the whole suite is wanted
    one_process = ["-n", "0"] if find_spec("xdist") is not None else []
    collected, output = Collected(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        status = pytest.main(
            [*arguments, "--collect-only", "-q", "--no-header", *one_process], plugins=[collected]
        )
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SlipstreamError(
            f"the tests cannot be collected, pytest ended with {int(status)}:\n"
            f"{output.getvalue().strip()}",
            hint="'pytest --collect-only' must succeed",
        )
    return collected
