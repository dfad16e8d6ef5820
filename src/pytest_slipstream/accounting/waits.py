"""What the running test waits for: HTTP, child processes, file locks, sleep, locks and threads.

Calls that wait are replaced. The invariant: a call does what it does without this, also for a
caller that is no test. A wait is told when it is over; whose it is was decided when it began.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import update_wrapper, wraps
from types import BuiltinFunctionType
from typing import Any

from pytest_slipstream.accounting.places import Places
from pytest_slipstream.accounting.replaced import Replaced
from pytest_slipstream.accounting.turn import WAITS, Turn
from pytest_slipstream.clock import clock

HTTP, CHILDREN, FILE_LOCKS, SLEEP, LOCKS = WAITS

CALLS: dict[str, dict[str, str]] = {
    "time": {"sleep": SLEEP},
    "threading": {"Condition.wait": LOCKS, "Thread.join": LOCKS},
    "asyncio": {
        "sleep": SLEEP,
        "tasks.sleep": SLEEP,
        "Lock.acquire": LOCKS,
        "Semaphore.acquire": LOCKS,
        "Event.wait": LOCKS,
        "Condition.wait": LOCKS,
        "Queue.get": LOCKS,
        "subprocess.Process.wait": CHILDREN,
        "subprocess.Process.communicate": CHILDREN,
    },
    "subprocess": {"Popen.wait": CHILDREN, "Popen.communicate": CHILDREN},
    "multiprocessing.process": {"BaseProcess.join": CHILDREN},
    "filelock": {"BaseFileLock.acquire": FILE_LOCKS},
    "http.client": {
        "HTTPConnection.connect": HTTP,
        "HTTPSConnection.connect": HTTP,
        "HTTPConnection.getresponse": HTTP,
        "HTTPResponse.read": HTTP,
    },
    "urllib3": {"HTTPConnectionPool.urlopen": HTTP},
    "requests": {"Session.send": HTTP},
    "httpx": {
        "HTTPTransport.handle_request": HTTP,
        "AsyncHTTPTransport.handle_async_request": HTTP,
        "Response.read": HTTP,
        "Response.aread": HTTP,
    },
    "aiohttp": {"ClientSession._request": HTTP, "ClientResponse.read": HTTP},
}
"""What is replaced in each module. Events, queues, futures and pools wait by a Condition."""

_SHORT_S = 50e-6
"""What is shorter is not told: most locks are free."""


class Waits:
    """Replaces calls that wait.

    Args:
        whose: The test that the running code belongs to, if it is known.
        places: Tell where in the project's code each wait was called, if that is to be told.
    """

    def __init__(self, whose: Callable[[], Turn | None], places: Places | None = None) -> None:
        self._whose = whose
        self._places = places
        self._replaced = Replaced(CALLS, self._around)

    def put_up(self) -> None:
        """Tell from now on."""
        self._replaced.put_up()

    def take_down(self) -> None:
        """Put everything back."""
        self._replaced.take_down()

    def _around(self, original: Any, kind: str) -> Any:
        if inspect.iscoroutinefunction(original):
            return self._around_coroutine(original, kind)
        call = self._around_function(original, kind)
        if isinstance(original, BuiltinFunctionType):
            return type("_Builtin", (_Builtin,), {"__call__": staticmethod(call)})(original)
        return wraps(original)(call)

    def _tell(self, turn: Turn, kind: str, began: float, cpu_began: float) -> None:
        """A wait is over; what the processor worked meanwhile for the test, in any thread, was
        none.
        """
        ended = clock.seconds()
        idle_s = ended - began
        if not turn.overlaps:
            idle_s -= clock.processor() - cpu_began
        if idle_s > _SHORT_S:
            place = "" if self._places is None else self._places.of(sys._getframe(1))
            turn.waited(kind, (began, ended), idle_s, place)

    def _around_function(self, original: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            turn = self._whose()
            if turn is None:
                return original(*args, **kwargs)
            began, cpu = clock.seconds(), clock.processor()
            try:
                return original(*args, **kwargs)
            finally:
                self._tell(turn, kind, began, cpu)

        return call

    def _around_coroutine(self, original: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @wraps(original)
        async def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            turn = self._whose()
            if turn is None:
                return await original(*args, **kwargs)
            began, cpu = clock.seconds(), clock.processor()
            try:
                return await original(*args, **kwargs)
            finally:
                self._tell(turn, kind, began, cpu)

        return call


class _Builtin:
    """A replacement that, like a builtin function, is no method where a class has it."""

    __call__: Callable[..., Any]

    def __init__(self, original: BuiltinFunctionType) -> None:
        update_wrapper(self, original)

    def __reduce__(self) -> str:
        return str(self.__name__)  # type: ignore[attr-defined]
