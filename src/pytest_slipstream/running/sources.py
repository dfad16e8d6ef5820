"""Where tests come from: a source hands out atoms, the run loop pulls.

An atom is a row of tests that share costly wider fixtures, in order. The invariant: the run loop
knows at least the test after the one it starts, so that no wider fixture is torn down too early.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import pytest

Atom = Sequence[pytest.Item]


class Source(Protocol):
    """Hands out the tests of a run."""

    def take(self) -> Atom:
        """The next atom; an empty one when there are no more."""


class ListSource:
    """All collected tests, in pytest's order; an atom is a row of tests of one module."""

    def __init__(self, items: Iterable[pytest.Item]) -> None:
        self._atoms = (list(row) for _, row in itertools.groupby(items, key=_module))

    def take(self) -> Atom:
        """The next atom."""
        return next(self._atoms, ())


def _module(item: pytest.Item) -> object:
    return item.getparent(pytest.Module) or item.parent


class Line:
    """The tests that are to be started next.

    Args:
        source: Where they come from.
        announce: Told of each test as soon as it is known.
    """

    def __init__(self, source: Source, announce: Callable[[pytest.Item], None]) -> None:
        self._source = source
        self._announce = announce
        self._known: deque[pytest.Item] = deque()
        self._fill(1)

    def first(self) -> pytest.Item | None:
        """The test to start next, which stays in line."""
        return self._known[0] if self._known else None

    def pop(self) -> tuple[pytest.Item, pytest.Item | None]:
        """Take the first test out of the line; also the one that follows it."""
        self._fill(2)
        return self._known.popleft(), self.first()

    def clear(self) -> list[pytest.Item]:
        """Take out all tests that are known, because the run stops."""
        rest = list(self._known)
        self._known.clear()
        return rest

    def __len__(self) -> int:
        return len(self._known)

    def _fill(self, least: int) -> None:
        while len(self._known) < least:
            atom = self._source.take()
            if not atom:
                return
            for item in atom:
                self._announce(item)
            self._known.extend(atom)
