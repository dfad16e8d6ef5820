"""Who sets up and tears down the fixtures that tests share.

The invariant: all fixtures of one scope node are set up and torn down in one task and one context,
one at a time, whichever tests ask for them; so a cancel scope or a context variable that spans a
fixture's ``yield`` works, and what a fixture puts into the context reaches each test that uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple, TypeVar

from pytest_slipstream.running import fibers
from pytest_slipstream.running.flights import CURRENT, Flight, translated, wait_for

T = TypeVar("T")


class _Job(NamedTuple):
    function: Callable[[], Any]
    flight: Flight | None
    result: asyncio.Future[Any]


class Owner:
    """One task that runs jobs in order.

    Args:
        loop: The run's event loop.
        base: The context that its own begins as.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, base: Context) -> None:
        self._loop = loop
        self._base = base
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._context: Context | None = None
        self._failure: BaseException | None = None
        self._running: _Job | None = None
        self.started_tasks: set[asyncio.Task[Any]] = set()

    def run(self, function: Callable[[], T], *, waits: bool) -> T:
        """Run a job for the code that is running.

        Args:
            function: The job.
            waits: Whether it is asynchronous. Where the loop does not run, a job that does not
                wait runs at once, so that it may run a loop of its own.
        """
        __tracebackhide__ = True
        if _OWNER.get() is self:
            return function()
        if fibers.in_fiber():
            return fibers.wait(self._submitted(function))
        if asyncio._get_running_loop() is not None:
            return self._inline(function)
        if self._context is None:
            self._loop.run_until_complete(self._submitted(lambda: None))
        if waits:
            return self._loop.run_until_complete(self._submitted(function))
        return self._inline(function)

    def complete(self, awaitable: Awaitable[T]) -> T:
        """Wait in this owner's task, while the loop is not running."""
        return self.run(lambda: fibers.wait(awaitable), waits=True)

    def cancel(self, flight: Flight, failure: BaseException) -> bool:
        """End what the test's job is waiting for; ``failure`` is raised there.

        Returns:
            Whether its job is the one that runs, and not one that waits in line.
        """
        if self._running is None or self._running.flight is not flight or self._task is None:
            return False
        self._failure = failure
        return self._task.cancel()

    def close(self) -> None:
        """No more jobs; tasks that the jobs started end."""
        for task in self.started_tasks:
            task.cancel()
        self._jobs.put_nowait(None)
        if not self._loop.is_running():
            self._loop.run_until_complete(asyncio.sleep(0))

    def _inline(self, function: Callable[[], T]) -> T:
        __tracebackhide__ = True
        context = self._context
        if context is None or self._running is not None:
            return function()
        before = dict(context)
        context.run(CURRENT.set, CURRENT.get())
        try:
            return context.run(function)
        finally:
            adopt(changes(before, context))

    async def _submitted(self, function: Callable[[], T]) -> T:
        if self._task is None:
            base = self._base.copy()
            base.run(CURRENT.set, None)  # the task is nobody's
            self._task = base.run(self._loop.create_task, self._serve())
        flight = CURRENT.get()
        result: asyncio.Future[tuple[T, BaseException | None, Any]] = self._loop.create_future()
        self._jobs.put_nowait(_Job(function, flight, result))
        if flight is not None:
            flight.set_up_by = self
        try:
            value, error, changed = await result
        finally:
            if flight is not None:
                flight.set_up_by = None
        adopt(changed)
        if error is not None:
            raise error
        return value

    async def _serve(self) -> None:
        _OWNER.set(self)
        self._context = context = fibers.context()
        while True:
            try:
                job = await self._jobs.get()
            except asyncio.CancelledError:
                continue  # a task group of a fixture failed; its teardown will tell
            if job is None:
                return
            if job.result.cancelled():
                continue
            CURRENT.set(job.flight)
            before = dict(context)
            value, error = None, None
            self._running = job
            try:
                value = await fibers.run(
                    job.function,
                    job.flight.meter if job.flight is not None else None,
                    self._translate,
                )
            except BaseException as raised:  # noqa: BLE001 - it belongs to the one who asked
                error = raised
            finally:
                self._running = None
            if not job.result.done():
                job.result.set_result((value, error, changes(before, context)))
            del job, before, value, error

    def _translate(self, error: BaseException) -> BaseException:
        if isinstance(error, asyncio.CancelledError) and self._failure is not None:
            failure, self._failure = self._failure, None
            return translated(error, failure)
        return error


_OWNER: ContextVar[Owner | None] = ContextVar("slipstream_owner", default=None)
Changes = dict[ContextVar[Any], Any]


def current_owner() -> Owner | None:
    """The owner whose job is running."""
    return _OWNER.get()


def changes(before: Changes, context: Context) -> Changes:
    """The context variables that have another value than ``before``."""
    return {
        variable: value
        for variable, value in context.items()
        if (variable not in before or before[variable] is not value)
        and variable is not CURRENT
        and variable is not _OWNER
    }


def adopt(changed: Changes) -> None:
    """Set context variables in the running code's context."""
    for variable, value in changed.items():
        variable.set(value)


def wait_with_owner(
    awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop, flight: Flight | None
) -> T:
    """Wait in synchronous code; outside of the loop, in a task that lasts as long as the test."""
    __tracebackhide__ = True

    def outside(awaitable: Awaitable[T]) -> T:
        if flight is None or flight.over:
            return loop.run_until_complete(_awaited(awaitable))
        return flight.owner(lambda: Owner(loop, copy_context())).complete(awaitable)

    return wait_for(awaitable, outside)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
