"""The event loop of a run: made once, closed at the end, and it knows whose tasks are whose."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from pytest_slipstream.running import fibers
from pytest_slipstream.running.flights import CURRENT
from pytest_slipstream.running.owners import current_owner
from pytest_slipstream.running.pytest_internals import attribute

T = TypeVar("T")


def new() -> asyncio.AbstractEventLoop:
    """A loop that notes who starts a task: a fixture's owner, or a test."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(_task)
    _let_fibers_wait(loop)
    _let_no_test_stop(loop)
    return loop


def _let_fibers_wait(loop: Any) -> None:
    """Let synchronous code of a test say ``loop.run_until_complete``, as it can in sequence."""
    original = loop.run_until_complete

    def run_until_complete(future: Awaitable[T]) -> T:
        __tracebackhide__ = True
        return fibers.wait(future) if fibers.in_fiber() else original(future)

    with contextlib.suppress(AttributeError):  # a loop that is not written in Python
        loop.run_until_complete = run_until_complete


def _let_no_test_stop(loop: Any) -> None:
    """The loop runs other tests, too."""
    original = loop.stop

    def stop() -> None:
        # asyncio itself stops the loop in a callback, which is no task.
        if CURRENT.get() is not None and asyncio.current_task(loop) is not None:
            raise RuntimeError(
                "this test is in flight with others, whose event loop it cannot stop; "
                "mark it `sequential`"
            )
        original()

    with contextlib.suppress(AttributeError):  # a loop that is not written in Python
        loop.stop = stop


def _task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    owner, flight = current_owner(), CURRENT.get()
    if owner is not None:
        owner.started_tasks.add(task)
    elif flight is not None:
        flight.started_tasks.add(task)
    return task


@contextlib.contextmanager
def _own_tasks_only(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let a test that ends all tasks, as an application does when it shuts down, end its own."""
    original = asyncio.all_tasks

    def all_tasks(of: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
        tasks, owner, flight = original(of), current_owner(), CURRENT.get()
        if flight is None or (of or asyncio.get_running_loop()) is not loop:
            return tasks
        if owner is not None:
            return tasks & {asyncio.current_task(loop), *owner.started_tasks}
        return tasks & {flight.task, *flight.started_tasks}

    with (
        attribute(asyncio, "all_tasks", all_tasks),
        attribute(asyncio.tasks, "all_tasks", all_tasks),
    ):
        yield


@contextlib.contextmanager
def closing(loop: asyncio.AbstractEventLoop, at_once: Callable[[], bool]) -> Iterator[None]:
    """Set the loop as the thread's, and close it as ``asyncio.run`` does, or without waiting."""
    asyncio.set_event_loop(loop)
    try:
        with _own_tasks_only(loop):
            yield
    finally:
        if not at_once():
            loop.run_until_complete(_end(asyncio.all_tasks(loop)))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=5.0)
