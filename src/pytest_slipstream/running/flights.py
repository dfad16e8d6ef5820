"""A test in flight: all that pytest keeps once for each process, and a test needs for itself.

The invariant: a context variable, not the thread and not the task, tells whose code is running, so
that tasks and worker threads that a test starts belong to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

import pytest

from pytest_slipstream.running import fibers
from pytest_slipstream.running.timeouts import Deadlines

if TYPE_CHECKING:
    from pytest_slipstream.running.pytest_internals import FixtureDef, HookCall

T = TypeVar("T")


class Owner(Protocol):
    """Who runs asynchronous parts of fixtures in a task of its own; see `running.owners`."""

    def complete(self, awaitable: Awaitable[T]) -> T:
        """Wait in this owner's task, while the loop is not running."""

    def cancel(self, flight: Flight, failure: BaseException) -> bool:
        """End what the test's job is waiting for."""

    def close(self) -> None:
        """No more jobs."""


class Flight:
    """One test while it runs.

    Args:
        item: The test.
        loop: The run's event loop.
        overlapping: Whether other tests may run meanwhile. Where not, pytest's own process-wide
            state serves the test.
    """

    def __init__(
        self, item: pytest.Item, loop: asyncio.AbstractEventLoop, *, overlapping: bool
    ) -> None:
        self.item = item
        self.overlapping = overlapping
        self.meter = fibers.Meter()
        self.deadlines = Deadlines(item.nodeid, loop, self._cancel)
        self.task: asyncio.Task[None] | None = None
        self.started_tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.copies: dict[FixtureDef[Any], FixtureDef[Any]] = {}
        self.held: list[HookCall] = []
        self.phase = ""
        self.over = False
        self.failure: BaseException | None = None
        self.error: BaseException | None = None
        self.unclaimed_before = 0
        self.began = 0.0
        self.ended = 0.0
        # What replaces pytest's process-wide state; see output, logs and process_state.
        self.streams: dict[str, list[Any]] = {"stdout": [], "stderr": []}
        self.capture_fixture: Any = None
        self.log_handlers: list[logging.Handler] = []
        self.own_handlers: dict[str, logging.Handler] = {}
        self.warnings: list[Any] = []
        self.warning_registries: dict[int, dict[Any, Any]] = {}
        self.assertion_hooks: dict[str, Any] = {}
        self.violation = ""
        self.set_up_by: Owner | None = None
        self._owner: Owner | None = None

    def owner(self, make: Callable[[], Owner]) -> Owner:
        """Who runs the asynchronous parts of a test that itself runs outside of the loop."""
        if self._owner is None:
            self._owner = make()
        return self._owner

    def close_owner(self) -> None:
        """No asynchronous parts are left."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def _cancel(self, failure: BaseException) -> None:
        """End what the test is waiting for; ``failure`` is raised there."""
        if self.set_up_by is not None and self.set_up_by.cancel(self, failure):
            return
        if self.task is not None:
            self.failure = failure
            self.task.cancel()

    def give_up(self) -> None:
        """End the test, whose reports nobody will see: the run stops."""
        if self.task is not None and self.phase != "teardown":
            self.task.cancel()

    def translate(self, error: BaseException) -> BaseException:
        """Give a cancellation its reason."""
        if isinstance(error, asyncio.CancelledError) and self.failure is not None:
            return translated(error, self.take_failure())
        return error

    def take_failure(self) -> BaseException:
        """The reason of the cancellation, once."""
        failure, self.failure = self.failure, None
        assert failure is not None
        return failure

    async def end_tasks(self) -> None:
        """Cancel what the test left running."""
        left = [task for task in self.started_tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5.0)


CURRENT: ContextVar[Flight | None] = ContextVar("slipstream_current_flight", default=None)


def overlapping() -> Flight | None:
    """The test whose code is running, if others are in flight with it."""
    flight = CURRENT.get()
    return flight if flight is not None and flight.overlapping and not flight.over else None


def translated(error: BaseException, failure: BaseException) -> BaseException:
    """The reason, with the place where the waiting was ended."""
    task = asyncio.current_task()
    if task is not None and hasattr(task, "uncancel"):
        task.uncancel()
    return failure.with_traceback(error.__traceback__)


def wait_for(awaitable: Awaitable[T], outside: Callable[[Awaitable[T]], T]) -> T:
    """Wait in synchronous code of a test, wherever the test runs.

    Args:
        awaitable: What is waited for.
        outside: How to wait while the loop is not running.

    Raises:
        RuntimeError: In a coroutine, where only ``await`` can wait.
    """
    __tracebackhide__ = True
    if fibers.in_fiber():
        return fibers.wait(awaitable)
    if asyncio._get_running_loop() is None:
        return outside(awaitable)
    if asyncio.iscoroutine(awaitable):
        awaitable.close()
    raise RuntimeError(
        "an asynchronous fixture cannot be set up by request.getfixturevalue() in a coroutine, "
        "which would have to wait without 'await'\nhint: "
        "await pytest_slipstream.getfixturevalue(request, name)"
    )
