"""The main program of a spawned worker: pytest as in the parent, whose tests come from the parent.

The invariant: it runs the tests only after the parent has seen that it collected the same ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from pytest_slipstream.running.pytest_internals import silence_terminal
from pytest_slipstream.running.workers import process
from pytest_slipstream.running.workers.channel import Channel
from pytest_slipstream.running.workers.messages import Collected, Ended
from pytest_slipstream.running.workers.spawning import collected
from pytest_slipstream.running.workers.worker import RunTests, one_after_the_other, work


class SpawnedWorker:
    """The plugin that makes a pytest a worker.

    Args:
        channel: To the parent.
        worker_input: What plugins read of workers.
    """

    def __init__(self, channel: Channel, worker_input: dict[str, Any]) -> None:
        self._channel = channel
        self._worker_input = worker_input
        self._errors: list[str] = []
        self.ended: Ended | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: Any) -> Generator[None, Any, Any]:
        """Be a worker before any code of the project's is imported."""
        early_config.workerinput = self._worker_input
        early_config.workeroutput = {}
        early_config.slipstream_worker = self
        if hasattr(early_config.known_args_namespace, "cov_append"):
            # pytest-cov begins as in a parent, which erases what other workers have saved, unless:
            early_config.known_args_namespace.cov_append = True
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """The terminal is the parent's."""
        silence_terminal(config)
        process.set_log_file(config, self._worker_input["workerid"])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what cannot be collected."""
        if report.failed:
            self._errors.append(report.longreprtext)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Keep what went wrong in pytest or a plugin."""
        self._errors.append(str(excrepr))

    def run_tests(self, session: pytest.Session, overlapping: RunTests | None) -> None:
        """Run tests until the parent has none left."""
        self._channel.send(Collected(collected(session)))
        self._channel.await_verdict()
        run_tests = overlapping or one_after_the_other(session)
        self.ended = work(session, self._channel, run_tests, at_once=overlapping is not None)

    def end(self, status: int) -> Ended:
        """How it ended, once pytest has."""
        if self.ended is not None:
            return self.ended
        said = "\n".join(self._errors)
        return Ended("error", f"pytest ended with exit status {status} before a test\n{said}")


def main() -> None:
    """Be a worker; never returns."""
    process.die_with(os.getppid())
    os.setpgid(0, 0)
    channel = Channel(Connection(int(sys.argv[1])))
    begin = channel.receive()
    sys.path[:] = begin.path
    worker = SpawnedWorker(channel, begin.worker_input)
    status = pytest.main(begin.arguments, plugins=[worker])
    process.run_exit_handlers()
    sys.stdout.flush()
    channel.send(worker.end(int(status)))
    os._exit(0)


if __name__ == "__main__":
    main()
