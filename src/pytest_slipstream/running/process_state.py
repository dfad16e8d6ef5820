"""What else pytest keeps once for each process, kept for each test in flight.

Warnings, the hooks of rewritten assertions, ``PYTEST_CURRENT_TEST``, and the hook calls that report
a test. The invariant: reporters see a test's calls in one row, as if it had run alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from pytest_slipstream.running.flights import Flight, overlapping
from pytest_slipstream.running.pytest_internals import (
    HookExecution,
    assertion_util,
    attribute,
    class_of,
    hook_execution,
    runner_module,
    warnings_plugin,
)

_REGISTRY = "__warningregistry__"
VARIABLE = "PYTEST_CURRENT_TEST"
_HELD = frozenset(
    {
        "pytest_runtest_logstart",
        "pytest_runtest_logreport",
        "pytest_runtest_logfinish",
        "pytest_warning_recorded",
    }
)


class Reports:
    """Holds the calls that report a test until the test is over.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._execute: HookExecution | None = None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """For the whole run."""
        with hook_execution(self._config, self._holding) as self._execute:
            yield

    def replay(self, flight: Flight) -> None:
        """Make the calls."""
        assert self._execute is not None
        held, flight.held = flight.held, []
        for call in held:
            self._execute(*call)

    @staticmethod
    def _holding(execute: HookExecution) -> HookExecution:
        def held(
            hook_name: str,
            methods: Sequence[Any],
            kwargs: Mapping[str, object],
            firstresult: bool,
        ) -> Any:
            __tracebackhide__ = True
            if hook_name in _HELD:
                flight = overlapping()
                if flight is not None:
                    flight.held.append((hook_name, methods, kwargs, firstresult))
                    return []
            return execute(hook_name, methods, kwargs, firstresult)

        return held


class _AssertionModule(types.ModuleType):
    """``_pytest.assertion.util``, whose globals are the running test's."""


def _of_test(name: str) -> property:
    def read(module: types.ModuleType) -> Any:
        flight = overlapping()
        return (module.__dict__ if flight is None else flight.assertion_hooks).get(name)

    def write(module: types.ModuleType, value: Any) -> None:
        flight = overlapping()
        (module.__dict__ if flight is None else flight.assertion_hooks)[name] = value

    return property(read, write)


for _name in ("_reprcompare", "_assertion_pass", "_config"):
    setattr(_AssertionModule, _name, _of_test(_name))


class Environ(os._Environ):  # type: ignore[type-arg]
    """``os.environ``, in which a test in flight finds its own name."""

    def __getitem__(self, key: str) -> str:
        if key == VARIABLE:
            flight = overlapping()
            if flight is not None and flight.phase:
                return f"{flight.item.nodeid} ({flight.phase})".replace("\x00", "(null)")
        value: str = super().__getitem__(key)
        return value


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """For the whole run."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        enter(class_of(assertion_util, _AssertionModule))
        update = runner_module._update_current_test_var

        def update_unless_overlapping(item: pytest.Item, when: Any) -> None:
            if overlapping() is None:
                update(item, when)

        enter(attribute(runner_module, "_update_current_test_var", update_unless_overlapping))
        catching = warnings_plugin.catch_warnings_for_item
        enter(attribute(warnings_plugin, "catch_warnings_for_item", _catching(catching)))
        yield


def _catching(original: Any) -> Any:
    @contextlib.contextmanager
    def catch_warnings_for_item(
        config: pytest.Config, ihook: Any, when: str, item: pytest.Item | None, **options: Any
    ) -> Iterator[None]:
        flight = overlapping()
        if flight is None or item is None:
            with original(config=config, ihook=ihook, when=when, item=item, **options):
                yield
            return
        try:
            yield
        finally:
            for message in flight.warnings:
                ihook.pytest_warning_recorded.call_historic(
                    kwargs={
                        "warning_message": message,
                        "nodeid": item.nodeid,
                        "when": when,
                        "location": None,
                    }
                )
            flight.warnings.clear()

    return catch_warnings_for_item


@contextlib.contextmanager
def warnings_routed(item: pytest.Item, config: pytest.Config) -> Iterator[None]:
    """While tests overlap that have the same ``filterwarnings`` marks as ``item``."""
    if not config.pluginmanager.has_plugin("warnings"):
        yield
        return
    catching = warnings_plugin.catch_warnings_for_item
    with catching(config=config, ihook=item.ihook, when="runtest", item=item):
        module_of_warnings: Any = warnings
        unclaimed = module_of_warnings._showwarnmsg_impl

        def route(message: warnings.WarningMessage) -> None:
            flight = overlapping()
            if flight is None:
                unclaimed(message)
            else:
                flight.warnings.append(message)

        module_of_warnings._showwarnmsg_impl = route
        with attribute(warnings, "warn", _warning(warnings.warn)):
            yield


def _warning(original: Any) -> Any:
    """``warnings.warn``, which shows most warnings once for each line: here, and each test."""

    def warn(
        message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **more: Any
    ) -> None:
        __tracebackhide__ = True
        flight, frame = overlapping(), sys._getframe(1)
        if flight is None:
            return original(message, category, stacklevel + 1, source, **more)  # type: ignore[no-any-return]
        for _ in range(stacklevel - 1):
            frame = frame.f_back or frame
        names = frame.f_globals
        shared = names.get(_REGISTRY)
        names[_REGISTRY] = flight.warning_registries.setdefault(id(names), {})
        try:
            return original(message, category, stacklevel + 1, source, **more)  # type: ignore[no-any-return]
        finally:
            if shared is None:
                del names[_REGISTRY]
            else:
                names[_REGISTRY] = shared

    return warn


@contextlib.contextmanager
def environ_routed(kind: type[Environ] = Environ) -> Iterator[None]:
    """While tests overlap: they find their own names in the environment."""
    with class_of(os.environ, kind):
        yield
