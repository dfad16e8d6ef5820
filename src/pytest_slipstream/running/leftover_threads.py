"""Threads that a test leaves behind: named after the test, and never able to keep the run open.

Python waits at exit for every thread that is not a daemon. The invariant: a run whose tests have
ended ends, with its own exit status, whatever threads were left.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from pytest_slipstream import events
from pytest_slipstream.clock import clock

GRACE_S = 2.0
OWN = "slipstream-"


class LeftoverThreads:
    """Watches one process that runs tests.

    Args:
        emit: Takes the events.
        grace_s: How long threads may take to end by themselves, after the run, in seconds.
    """

    def __init__(self, emit: Callable[[events.Event], None], grace_s: float = GRACE_S) -> None:
        self._emit = emit
        self._grace_s = grace_s
        self._before = set(threading.enumerate())
        self._left: dict[threading.Thread, str] = {}
        self._exit_status = 0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Name the threads that outlive their test."""
        result = yield
        if threading.active_count() != len(self._before):
            alive = set(threading.enumerate())
            for thread in alive - self._before:
                if not thread.daemon and not thread.name.startswith(OWN):
                    self._left[thread] = item.nodeid
            self._before = alive
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Report those that are still there, and see to it that they cannot hold the exit up."""
        self._exit_status = int(exitstatus)
        if not self._alive():
            return
        for thread, node_id in self._left.items():
            self._emit(
                events.LeftoverFound(
                    database="", node_id=node_id, kind="thread", detail=repr(thread.name)
                )
            )
        # Runs when the interpreter ends and before it joins threads; not in a process that goes on.
        threading._register_atexit(self._end)  # type: ignore[attr-defined]

    def _alive(self) -> list[threading.Thread]:
        self._left = {t: node_id for t, node_id in self._left.items() if t.is_alive()}
        return list(self._left)

    def _end(self) -> None:
        until = clock.seconds() + self._grace_s
        for thread in self._alive():
            thread.join(max(0.0, until - clock.seconds()))
        if not self._alive():
            return
        for thread, node_id in self._left.items():
            print(
                f"slipstream: {node_id} left the thread {thread.name!r} running; "
                "the run ends without it",
                file=sys.stderr,
            )
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._exit_status)
