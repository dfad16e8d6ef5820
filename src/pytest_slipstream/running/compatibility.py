"""Tests and fixtures written for pytest-asyncio, anyio, hypothesis and pytest-timeout.

The invariant: none of these plugins runs a loop while the run loop does; each is recognised by
what it attaches to tests and fixtures, and never imported.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest import TestCase

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.running.flights import CURRENT
from pytest_slipstream.running.owners import wait_with_owner
from pytest_slipstream.running.pytest_internals import (
    FixtureDef,
    argument_names,
    definitions,
    parameters,
)

T = TypeVar("T")
_UNKNOWN = "unknown"


class LoopRunner:
    """Stands for pytest-asyncio's runner of every loop scope: there is one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The run's event loop."""
        return self._loop

    def run(self, coro: Coroutine[Any, Any, T], *, context: object = None) -> T:
        """Run a coroutine in the task and the context of the test."""
        __tracebackhide__ = True
        return wait_with_owner(coro, self._loop, CURRENT.get())


def check(config: pytest.Config) -> None:
    """Refuse to work with plugins that would run a loop of their own.

    Raises:
        ConfigurationError: pytest-asyncio is too old.
    """
    plugin = config.pluginmanager.get_plugin("asyncio")
    if plugin is not None and not hasattr(plugin, "_function_scoped_runner"):
        raise ConfigurationError(
            "tests cannot run together with the installed pytest-asyncio, because it is older "
            "than 1.1 and runs each test in a loop of its own",
            hint="pip install 'pytest-asyncio>=1.1'",
        )


def replaced_fixture(
    definition: FixtureDef[Any], loop: asyncio.AbstractEventLoop
) -> Callable[[], object] | None:
    """What stands for a fixture that another plugin needs to run a loop."""
    name = definition.argname
    if definition.func.__module__ == "pytest_asyncio.plugin" and name.endswith("_scoped_runner"):
        return lambda: LoopRunner(loop)
    return None


def is_plugins(definition: FixtureDef[Any]) -> bool:
    """Whether a fixture is one of the plugins that would run a loop."""
    return definition.func.__module__ in ("pytest_asyncio.plugin", "anyio.pytest_plugin")


def is_forced(function: Callable[..., Any]) -> bool:
    """Whether pytest-asyncio would run even a synchronous fixture on its loop."""
    function = getattr(function, "__func__", function)
    return getattr(function, "_force_asyncio_fixture", False)


def is_coroutine_test(item: pytest.Item) -> bool:
    """Whether a test is an ``async def``, also below ``@given``; unittest runs its own ones."""
    if not isinstance(item, pytest.Function) or issubclass(item.cls or object, TestCase):
        return False
    return inspect.iscoroutinefunction(inner_test(item.obj))


def inner_test(function: Any) -> Any:
    """The function that hypothesis calls with its examples, or the function itself."""
    return getattr(getattr(function, "hypothesis", None), "inner_test", function)


def is_hypothesis(item: pytest.Item) -> bool:
    """Whether hypothesis, which keeps the running test in a thread's variable, runs it."""
    return hasattr(getattr(item, "obj", None), "hypothesis")


def is_foreign(item: pytest.Item) -> bool:
    """Whether a test belongs to another event loop library."""
    return item.get_closest_marker("trio") is not None or _backend(item) not in (None, "asyncio")


def _backend(item: pytest.Item) -> str | None:
    """The anyio backend of a test, if it has one."""
    found = definitions(item).get("anyio_backend")
    if not found or "anyio_backend" not in getattr(item, "fixturenames", ()):
        return None
    value = parameters(item).get("anyio_backend")
    if value is None:
        definition = found[-1]
        if definition.argnames or inspect.isgeneratorfunction(definition.func):
            return _UNKNOWN
        value = definition.func()
    if isinstance(value, tuple) and len(value) == 2:
        value = value[0] if not value[1] else _UNKNOWN
    return value if isinstance(value, str) else _UNKNOWN


def keeps_tasks(item: pytest.Item) -> bool:
    """Whether tasks that a test leaves may go on: its pytest-asyncio loop outlives it."""
    mark = item.get_closest_marker("asyncio")
    if mark is None:
        return False
    scope = mark.kwargs.get("loop_scope") or mark.kwargs.get("scope")
    if scope is None:
        try:
            scope = item.config.getini("asyncio_default_test_loop_scope")
        except ValueError:  # pytest-asyncio is not installed, or an old one
            scope = "function"
    return scope not in ("function", "", None)


class CoroutineTests:
    """Runs ``async def`` tests of any plugin, or of none.

    Args:
        loop: The run's event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        """Wait for the test function."""
        __tracebackhide__ = True
        function = pyfuncitem.obj
        if is_foreign(pyfuncitem) or not is_coroutine_test(pyfuncitem):
            return None
        if inner_test(function) is not function:
            function.hypothesis.inner_test = self._synchronous(inner_test(function))
            return None
        arguments = {name: pyfuncitem.funcargs[name] for name in argument_names(pyfuncitem)}
        self._wait(function(**arguments))
        return True

    def _synchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*args: Any, **kwargs: Any) -> None:
            self._wait(function(*args, **kwargs))

        return inner

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        __tracebackhide__ = True
        return wait_with_owner(coroutine, self._loop, CURRENT.get())


class TimeoutMarks:
    """pytest-timeout's timers, which can end only the whole process, for tests in flight."""

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> object:
        """Start a deadline of the test's own."""
        flight = CURRENT.get()
        if flight is None or flight.task is None or flight.item is not item:
            return None
        limit_s = settings.timeout
        flight.deadlines.start(
            "pytest-timeout", limit_s, f"Timeout (>{limit_s}s) from pytest-timeout."
        )
        return True

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> object:
        """Stop it."""
        flight = CURRENT.get()
        if flight is None or flight.task is None or flight.item is not item:
            return None
        flight.deadlines.stop("pytest-timeout")
        return True
