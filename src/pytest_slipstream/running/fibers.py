"""Synchronous code that waits: a function on a greenlet inside of an asyncio task.

The invariant: a fiber and all it waits for share one task and one context, so that cancel scopes
and context variables behave as in a coroutine; code on the greenlet sees no running loop, just as
pytest's hooks and synchronous fixtures do in a sequential run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

from greenlet import getcurrent, greenlet

from pytest_slipstream.clock import clock

T = TypeVar("T")
Translate = Callable[[BaseException], BaseException]


class _Fiber(greenlet):  # type: ignore[misc]
    """A greenlet that may wait."""


class Meter:
    """The seconds in which code of one test was really running, not waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, since: float) -> None:
        """Count from ``since`` until now."""
        self.seconds += clock.seconds() - since


class _Metered(Generic[T]):
    """An awaitable whose every step is counted."""

    def __init__(self, awaitable: Awaitable[T], meter: Meter) -> None:
        self._awaitable = awaitable
        self._meter = meter

    def __await__(self) -> Generator[Any, Any, T]:
        steps: Any = self._awaitable.__await__()
        proceed, sent = steps.send, None
        while True:
            began = clock.seconds()
            try:
                awaited = proceed(sent)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            finally:
                self._meter.add(began)
            try:
                proceed, sent = steps.send, (yield awaited)
            except BaseException as error:  # noqa: BLE001 - a step that fails is a step
                proceed, sent = steps.throw, error


def context() -> Context:
    """The running code's own context, not a copy."""
    found: Context = getcurrent().gr_context
    return found


def in_fiber() -> bool:
    """Whether the running code may `wait`."""
    return isinstance(getcurrent(), _Fiber)


def wait(awaitable: Awaitable[T]) -> T:
    """Wait in synchronous code; only `in_fiber`."""
    __tracebackhide__ = True
    fiber = getcurrent()
    assert isinstance(fiber, _Fiber)
    return fiber.parent.switch(awaitable)  # type: ignore[no-any-return]


def _as_it_is(error: BaseException) -> BaseException:
    return error


async def run(
    function: Callable[[], T], meter: Meter | None = None, translate: Translate = _as_it_is
) -> T:
    """Run a synchronous function that may `wait`, in the current task.

    Args:
        function: Called without arguments.
        meter: Counts the steps.
        translate: What is raised in the function in place of what an awaitable raised.
    """
    __tracebackhide__ = True
    loop = asyncio.get_running_loop()
    meter = meter or Meter()
    fiber = _Fiber(function)
    fiber.gr_context = context()
    proceed: Callable[..., Any] = fiber.switch
    arguments: tuple[Any, ...] = ()
    while True:
        began = clock.seconds()
        asyncio._set_running_loop(None)
        try:
            awaited = proceed(*arguments)
        finally:
            asyncio._set_running_loop(loop)
            meter.add(began)
        if fiber.dead:
            return awaited  # type: ignore[no-any-return]
        try:
            proceed, arguments = fiber.switch, (await _Metered(awaited, meter),)
        except BaseException:  # noqa: BLE001 - the function decides what to do about it
            error = translate(sys.exc_info()[1])  # type: ignore[arg-type]
            proceed, arguments = fiber.throw, (type(error), error, error.__traceback__)
