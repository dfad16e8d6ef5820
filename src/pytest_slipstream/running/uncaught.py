"""Exceptions that nobody can catch, of ``__del__`` and of threads: to the test that they come from.

pytest keeps them in queues of the process and warns in the first test that looks. The
invariant: a test in flight finds those that its own code and threads have raised, and no other.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, MutableSequence
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from pytest_slipstream.running.flights import Flight, overlapping
from pytest_slipstream.running.pytest_internals import attribute, uncaught_in


class _Queue:
    """Takes the place of one of pytest's queues.

    Args:
        others: pytest's, for what is of no test in flight.
        started: Who has started a thread.
    """

    def __init__(
        self, others: MutableSequence[Any], started: WeakKeyDictionary[threading.Thread, Flight]
    ) -> None:
        self._others = others
        self._started = started
        self._of: WeakKeyDictionary[Flight, MutableSequence[Any]] = WeakKeyDictionary()

    def append(self, found: Any) -> None:
        flight = overlapping() or self._started.get(threading.current_thread())
        if flight is None or flight.over:
            self._others.append(found)
        else:
            self._of.setdefault(flight, deque()).append(found)

    def pop(self) -> Any:
        flight = overlapping()
        return (self._others if flight is None else self._of.get(flight, deque())).pop()


@contextlib.contextmanager
def routed(config: pytest.Config) -> Iterator[None]:
    """For the whole run."""
    started: WeakKeyDictionary[threading.Thread, Flight] = WeakKeyDictionary()
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        flight = overlapping() or started.get(threading.current_thread())
        if flight is not None:
            started[thread] = flight
        start(thread)

    with (
        uncaught_in(config, lambda others: _Queue(others, started)),
        attribute(threading.Thread, "start", noted),
    ):
        yield
