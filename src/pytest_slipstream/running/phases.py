"""Set-up, call and teardown of a test in flight: each has its deadline, and what the guard saw.

Registered for the run only. Wraps everything that other plugins do in a phase.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from pytest_slipstream.running.flights import CURRENT

Phase = Generator[None, Any, Any]


class Phases:
    """Registered while the run loop runs.

    Args:
        timeout_s: The limit for each phase of a test, in seconds, or None.
    """

    def __init__(self, timeout_s: Callable[[pytest.Item], float | None]) -> None:
        self._timeout_s = timeout_s

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Phase:
        """The first fixture up to the test function."""
        __tracebackhide__ = True
        return (yield from self._phase(item, "setup"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Phase:
        """The test function."""
        __tracebackhide__ = True
        return (yield from self._phase(item, "call"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Phase:
        """The finalizers."""
        __tracebackhide__ = True
        return (yield from self._phase(item, "teardown"))

    def _phase(self, item: pytest.Item, phase: str) -> Phase:
        __tracebackhide__ = True
        flight = CURRENT.get()
        if flight is None or flight.item is not item or flight.task is None:
            return (yield)
        flight.phase = phase
        limit_s = self._timeout_s(item)
        if limit_s is not None:
            message = f"{item.nodeid} took more than {limit_s:g} s in its {phase}"
            flight.deadlines.start("phase", limit_s, message)
        failed = True
        try:
            result = yield
            failed = False
        finally:
            flight.deadlines.stop("phase")
            flight.phase = ""
            violation, flight.violation = flight.violation, ""
            if violation and failed:
                item.add_report_section(phase, "slipstream", violation)
        if violation:
            pytest.fail(violation, pytrace=False)
        return result
