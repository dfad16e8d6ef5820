"""A forked worker becomes a process of its own: what it shares with its parent is replaced.

The invariant: nothing that a worker does reaches the parent or another worker but by its channel,
its output and the databases' server; and it does not outlive its parent.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import pytest

from pytest_slipstream.clock import clock
from pytest_slipstream.running import pytest_internals

_PR_SET_PDEATHSIG = 1
_VARIABLES = {
    "workerid": "PYTEST_XDIST_WORKER",
    "workercount": "PYTEST_XDIST_WORKER_COUNT",
    "testrunuid": "PYTEST_XDIST_TESTRUNUID",
}


class Identity(msgspec.Struct, frozen=True):
    """Which worker of how many, in which run."""

    worker_id: str
    count: int
    testrun_uid: str

    def worker_input(self) -> dict[str, Any]:
        """What plugins read of pytest-xdist's workers."""
        return {
            "workerid": self.worker_id,
            "workercount": self.count,
            "testrunuid": self.testrun_uid,
            "mainargv": list(sys.argv),
        }

    def variables(self) -> Mapping[str, str]:
        """The environment variables in which pytest-xdist says the same."""
        given = self.worker_input()
        return {variable: str(given[key]) for key, variable in _VARIABLES.items()}


def age_s() -> float:
    """How long this process has lived, in seconds: what it takes to collect the tests."""
    import psutil  # forked workers do without it

    return max(0.0, clock.unix() - psutil.Process().create_time())


def prepare_to_fork(config: Any) -> None:
    """In the parent: make what all workers share."""
    if config.pluginmanager.has_plugin("tmpdir"):
        config._tmp_path_factory.getbasetemp()


def die_with(parent: int) -> None:
    """Have the kernel end this process when the parent's thread that forked it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def detach(output: int, inherited: Collection[int]) -> None:
    """Leave the terminal to the parent.

    Ctrl-C reaches the parent, which tells its workers; what is written goes where the parent reads.

    Args:
        output: The file descriptor that stands for stdout and stderr from now on.
        inherited: File descriptors that belong to other workers.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgid(0, 0)
    for descriptor in inherited:
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a pipe: lines are shown when they are whole
            stream.reconfigure(line_buffering=True)
    # Handlers that were registered before are the parent's, and so is what they remove.
    atexit._clear()


def become(config: Any, identity: Identity, output: int) -> None:
    """Be this worker, for plugins, fixtures and files."""
    config.workerinput = identity.worker_input()
    os.environ.update(identity.variables())
    pytest_internals.fresh_capture(config)
    pytest_internals.redirect_faults(config, output)
    if config.pluginmanager.has_plugin("tmpdir"):
        factory = config._tmp_path_factory
        own = factory.getbasetemp() / f"popen-{identity.worker_id}"
        own.mkdir(mode=0o700)
        factory._basetemp = own
    set_log_file(config, identity.worker_id)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()  # Python's own generator does so by itself


def set_log_file(config: pytest.Config, worker_id: str) -> None:
    """Give the worker a log file of its own, beside the one that was asked for."""
    logging: Any = config.pluginmanager.get_plugin("logging-plugin")
    if logging is None:
        return
    path = config.getoption("log_file") or config.getini("log_file")
    if path:
        head, dot, tail = str(path).rpartition(".")
        logging.set_log_path(f"{head}.{worker_id}.{tail}" if dot else f"{path}.{worker_id}")


def run_exit_handlers() -> None:
    """Those that tests and fixtures have registered."""
    atexit._run_exitfuncs()


def save_coverage() -> None:
    """Write what coverage.py has measured in this process, for the parent to combine."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage is not None else None
    if measuring is not None:
        measuring.stop()
        measuring.save()
