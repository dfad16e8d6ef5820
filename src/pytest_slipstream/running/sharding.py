"""One shard of the suite: all other tests are deselected after collection.

The invariant: what is left out here is said, and runs on another machine. An empty shard passes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from pytest_slipstream import events
from pytest_slipstream.running.collected import node_id, suite
from pytest_slipstream.running.history import RunHistory
from pytest_slipstream.scheduling.durations import by_file
from pytest_slipstream.scheduling.estimates import Estimates
from pytest_slipstream.scheduling.prediction import duration
from pytest_slipstream.scheduling.shards import Shard, Split, split

_TOLD = "slipstream_shard"


class Sharding:
    """Registered in each process that collects, and in pytest-xdist's controller.

    Args:
        shard: The one that this machine runs.
        history: What past runs took.
        emit: Takes the events.
    """

    def __init__(
        self, shard: Shard, history: RunHistory, emit: Callable[[events.Event], None]
    ) -> None:
        self._shard = shard
        self.name = str(shard)
        self._history = history
        self._emit = emit
        self._line = ""
        self._from_workers = False
        self._left_out = 0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, Any]:
        """Split what all other plugins left."""
        result = yield
        estimates = Estimates(self._history.read())
        found = split(suite(items, estimates), self._shard.count)
        own = set(found.shards[self._shard.number - 1])
        deselected = [item for n, item in enumerate(items) if n not in own]
        unknown = sum(not estimates.knows(node_id(item)) for item in items)
        self._line = described(self._shard, found, unknown)
        self._left_out = len(deselected)
        if not config.option.collectonly:  # which is nobody's part of a build
            self._emit(
                events.ShardChosen(
                    shard=str(self._shard),
                    digest=found.digest,
                    tests=len(own),
                    of_tests=len(items),
                    seconds=found.seconds[self._shard.number - 1],
                    here=by_file(node_id(item) for n, item in enumerate(items) if n in own),
                    elsewhere=by_file(map(node_id, deselected)),
                )
            )
        items[:] = [item for n, item in enumerate(items) if n in own]
        if deselected:
            config.hook.pytest_deselected(items=deselected)
        return result

    def pytest_report_collectionfinish(self) -> str:
        """Say which tests these are."""
        return f"slipstream: {self._line}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it at the end where only workers collected."""
        if self._from_workers:
            terminalreporter.write_line(f"slipstream: {self._line}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Pass when the shard is empty and the suite is not; tell the controller, if there is one.

        The order matters: it is the terminal that turns the status into words.
        """
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_TOLD] = [self._line, self._left_out, self._history.problem]
        elif exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._left_out:
            session.exitstatus = pytest.ExitCode.OK

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Learn from a worker of pytest-xdist what it collected; all collect the same."""
        if told := getattr(node, "workeroutput", {}).get(_TOLD):
            self._line, self._left_out, self._history.problem = told
            self._from_workers = True


def described(shard: Shard, found: Split, unknown: int) -> str:
    """What the user is told of the shard, and how many tests were never measured."""
    tests = sum(map(len, found.shards))
    own, seconds = found.shards[shard.number - 1], found.seconds[shard.number - 1]
    new = f"; {unknown} tests are not in the duration history" if unknown else ""
    return (
        f"shard {shard}: {len(own)} of {tests} tests, {duration(seconds)} predicted; "
        f"longest shard {duration(max(found.seconds))}; digest {found.digest}{new}"
    )
