"""Fixtures for tests that overlap: each test has its own function-scoped ones, wider ones are
shared through their owner.

The invariant: a definition of pytest's holds no value while the run loop runs; values are in
copies, one for each test or for each scope node, and asynchronous functions are made synchronous
there, so that no other plugin has to.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import functools
import inspect
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import pytest

from pytest_slipstream.running import compatibility, fibers
from pytest_slipstream.running.company import Company
from pytest_slipstream.running.flights import CURRENT, Flight
from pytest_slipstream.running.owners import Changes, Owner, adopt, changes, wait_with_owner
from pytest_slipstream.running.pytest_internals import (
    FixtureDef,
    Node,
    SubRequest,
    active_definition,
    is_wide,
    scope_node,
)

Definition = FixtureDef[Any]


class OneAtATime:
    """Lets one test at a time have wider fixtures set up or torn down.

    Args:
        needed: Whether they meet in something that they write to; else all may.
    """

    def __init__(self, *, needed: bool) -> None:
        self._needed = needed
        self._lock = asyncio.Lock()
        self._holder: Flight | None = None
        self._depth = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the turn of the running test; one that has it may have it again."""
        if not self._needed or not fibers.in_fiber():
            yield
            return
        flight = CURRENT.get()
        if flight is None or flight is not self._holder:
            fibers.wait(self._lock.acquire())
            self._holder = flight
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._holder = None
                self._lock.release()


class SharedFixture(FixtureDef[Any]):
    """A fixture that several tests use: its own part runs in its owner's task."""

    owner: Owner
    waits: bool
    changes: Changes
    company: Company
    turns: OneAtATime

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"the {self.scope} fixture {self.argname!r}"

    def execute(self, request: SubRequest) -> Any:
        """Set up what the fixture needs, each in its own place, and then the fixture, once."""
        for name in self.argnames:
            active_definition(request, name)
        if self._is_set_up(request):
            value = super().execute(request)
        else:
            with self.turns.held():
                value = self.owner.run(lambda: self._set_up(request), waits=self.waits)
        self.company.check_use(self, request._pyfuncitem)
        adopt(self.changes)
        return value

    def _is_set_up(self, request: SubRequest) -> bool:
        return self.cached_result is not None and self.cached_result[1] is self.cache_key(request)

    def _set_up(self, request: SubRequest) -> Any:
        if self._is_set_up(request):  # by the test that asked first
            return super().execute(request)
        context = fibers.context()
        before = dict(context)
        try:
            with self.company.shared(self.title):
                return super().execute(request)
        finally:
            self.changes = changes(before, context)

    def finish(self, request: SubRequest) -> None:
        """Tear down in the task that set up."""
        if self.cached_result is not None:
            with self.turns.held():
                self.owner.run(lambda: self._finish(request), waits=self.waits)

    def _finish(self, request: SubRequest) -> None:
        with self.company.shared(self.title):
            super().finish(request)


class FixtureCopies:
    """The copies of all definitions.

    Args:
        loop: The run's event loop.
        is_foreign: Whether another plugin runs the asynchronous fixtures of a test.
        company: What goes with the tests.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_foreign: Callable[[pytest.Item], bool],
        company: Company,
    ) -> None:
        self._company = company
        self._turns = OneAtATime(needed=company.shares)
        self._loop = loop
        self._is_foreign = is_foreign
        self._base = contextvars.copy_context()
        self._shared: dict[Node, dict[tuple[Definition, bool], SharedFixture]] = {}
        self._owners: dict[Node, Owner] = {}

    def of(self, definitions: Sequence[Definition], item: pytest.Item) -> tuple[Definition, ...]:
        """What stands for some definitions in a test."""
        flight = CURRENT.get()
        if flight is None or flight.item is not item:
            return tuple(definitions)
        return tuple(self._copy(definition, flight) for definition in definitions)

    def forget(self, node: Node) -> None:
        """A scope has ended."""
        self._shared.pop(node, None)
        owner = self._owners.pop(node, None)
        if owner is not None:
            owner.close()

    def _copy(self, definition: Definition, flight: Flight) -> Definition:
        node = scope_node(definition, flight.item) if is_wide(definition) else flight.item
        foreign = self._is_foreign(flight.item)
        if node is flight.item:
            if definition not in flight.copies:
                flight.copies[definition] = self._new(definition, foreign)
            return flight.copies[definition]
        copies = self._shared.setdefault(node, {})
        key = (definition, foreign)
        if key not in copies:
            shared = self._new(definition, foreign)
            shared.__class__ = SharedFixture
            assert isinstance(shared, SharedFixture)
            if node not in self._owners:
                self._owners[node] = Owner(self._loop, self._base)
            shared.owner = self._owners[node]
            shared.changes = {}
            shared.company, shared.turns = self._company, self._turns
            shared.waits = not foreign and is_async(definition.func)
            copies[key] = shared
        return copies[key]

    def _new(self, definition: Definition, foreign: bool) -> Definition:
        new = copy.copy(definition)
        new.cached_result = None
        new._finalizers = []  # type: ignore[misc]
        if not foreign:
            replaced = compatibility.replaced_fixture(definition, self._loop)
            if replaced is not None:
                new.func, new.argnames = replaced, ()  # type: ignore[misc]
            elif is_async(definition.func) or compatibility.is_forced(definition.func):
                new.func = self._synchronous(definition.func)  # type: ignore[misc]
        return new

    def _synchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(function, types.MethodType):
            return types.MethodType(self._synchronous(function.__func__), function.__self__)
        if inspect.isasyncgenfunction(function):
            return self._generator(function)
        if inspect.iscoroutinefunction(function):
            return self._coroutine(function)
        return _like(function, functools.partial(function))

    def _wait(self, awaitable: Any) -> Any:
        __tracebackhide__ = True
        return wait_with_owner(awaitable, self._loop, CURRENT.get())

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def fixture(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return self._wait(function(*args, **kwargs))

        return _like(function, fixture)

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def fixture(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            __tracebackhide__ = True
            generator = function(*args, **kwargs)
            try:
                yield self._wait(generator.__anext__())
            except StopAsyncIteration:
                return
            try:
                again = self._wait(generator.__anext__())
            except StopAsyncIteration:
                return
            yield again  # pytest says what is wrong with that

        return _like(function, fixture)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a fixture function has to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _like(function: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Name the replacement after what it replaces, without the marks of other plugins."""
    return functools.update_wrapper(replacement, function, updated=())
