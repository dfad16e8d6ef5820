"""pytest's setup state for tests that overlap: a tree with counts in place of a stack.

The invariant: a collector is torn down once, by the last test that needs it, and before a test
that does not need it starts where tests run one after another.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pytest_slipstream.running.flights import CURRENT
from pytest_slipstream.running.pytest_internals import TEST_OUTCOME, Node, SetupState

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


class SetupTree(SetupState):
    """Replaces the session's setup state.

    Args:
        forget: Told of each node that is being torn down.
    """

    def __init__(self, forget: Callable[[Node], None]) -> None:
        super().__init__()
        self._forget = forget
        self._needed: Counter[Node] = Counter()
        self._holders: set[pytest.Item] = set()

    def hold(self, item: pytest.Item) -> None:
        """A test is known that will need its collectors."""
        if item not in self._holders:
            self._holders.add(item)
            self._needed.update(item.listchain())

    def release(self, item: pytest.Item) -> None:
        """A test no longer needs its collectors."""
        if item in self._holders:
            self._holders.remove(item)
            self._needed.subtract(item.listchain())

    def setup(self, item: pytest.Item) -> None:
        """Set up the collectors of a test that are not set up yet, and the test."""
        __tracebackhide__ = True
        self.hold(item)  # again, where a test runs a second time
        for node in item.listchain():
            if node in self.stack:
                failure: Any = self.stack[node][1]
                if failure is not None:
                    raise failure[0].with_traceback(failure[1])
                continue
            self.stack[node] = ([node.teardown], None)
            try:
                node.setup()
            except TEST_OUTCOME as error:
                self.stack[node] = (self.stack[node][0], (error, error.__traceback__))
                raise

    def is_node_active(self, node: Node) -> bool:
        """Whether a node is set up and not torn down."""
        return node in self.stack

    def teardown_exact(self, nextitem: pytest.Item | None) -> None:
        """Tear down the running test, and the collectors that no other test needs.

        Args:
            nextitem: As for pytest; a collector stands for "only the test".
        """
        flight = CURRENT.get()
        if flight is None:
            self._teardown(list(self.stack)[::-1])
            return
        errors: list[BaseException] = []
        item = flight.item
        if item in self.stack:
            self._teardown_one(item, errors)
        if nextitem is None or isinstance(nextitem, pytest.Item):
            self.release(item)
            for node in reversed(item.listchain()[:-1]):
                if self._needed[node] <= 0 and node in self.stack:
                    self._teardown_one(node, errors)
        _raise(errors, "errors during test teardown")

    def _teardown(self, nodes: list[Node]) -> None:
        errors: list[BaseException] = []
        for node in nodes:
            self._teardown_one(node, errors)
        _raise(errors, "errors during test teardown")

    def _teardown_one(self, node: Node, errors: list[BaseException]) -> None:
        finalizers = self.stack.pop(node)[0]
        raised: list[BaseException] = []
        while finalizers:
            try:
                finalizers.pop()()
            except (*TEST_OUTCOME, asyncio.CancelledError) as error:
                raised.append(error)
        self._forget(node)
        if len(raised) == 1:
            errors.append(raised[0])
        elif raised:
            errors.append(BaseExceptionGroup(f"errors while tearing down {node!r}", raised[::-1]))


def _raise(errors: list[BaseException], message: str) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(message, errors[::-1])
