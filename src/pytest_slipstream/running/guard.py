"""Catches what tests in flight do to the whole process.

A change that is undone before the test lets others go on hurts nobody. So a change is only noted,
and looked at again when the event loop goes on: the invariant is that a test whose change is still
there, while others are in flight, fails and is told how to run alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import unittest.mock
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_slipstream.running.flights import Flight, overlapping
from pytest_slipstream.running.process_state import Environ
from pytest_slipstream.running.pytest_internals import attribute

HINT = (
    "mark the test with @pytest.mark.sequential, or let a fixture make the change and name the "
    "fixture in 'process_wide_fixtures'"
)


class Guard:
    """Watches the process while tests overlap.

    Args:
        loop: The run's event loop.
        others: Whether other tests are in flight.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, others: Callable[[], bool]) -> None:
        self._loop = loop
        self._others = others
        self._changes: dict[object, tuple[Flight, str]] = {}

    def note(self, key: object, what: str) -> None:
        """The running test changed something."""
        flight = overlapping()
        if flight is not None and key not in self._changes:
            self._changes[key] = (flight, what)
            self._loop.call_soon_threadsafe(self.look)  # also from a thread of the test

    def undone(self, key: object) -> None:
        """It is as it was."""
        self._changes.pop(key, None)

    def look(self) -> None:
        """Blame those whose changes others can see."""
        if self._others():
            for flight, what in self._changes.values():
                flight.violation = flight.violation or (
                    f"{flight.item.nodeid} changed {what} while other tests were in flight, and "
                    f"they could see it\nhint: {HINT}"
                )

    def forget(self, flight: Flight) -> None:
        """The test is over."""
        self._changes = {key: held for key, held in self._changes.items() if held[0] is not flight}

    @contextlib.contextmanager
    def watching(self) -> Iterator[type[Environ]]:
        """While tests overlap; yields what ``os.environ`` must be meanwhile."""
        with (
            self._context_manager(unittest.mock._patch, "a name by unittest.mock.patch"),
            self._context_manager(unittest.mock._patch_dict, "a dict by unittest.mock.patch.dict"),
            self._context_manager(warnings.catch_warnings, "the warning filters"),
            self._directory(),
        ):
            yield self._environ()

    @contextlib.contextmanager
    def _context_manager(self, kind: type, what: str) -> Iterator[None]:
        enter, leave = kind.__enter__, kind.__exit__  # type: ignore[attr-defined]

        def entered(manager: Any) -> Any:
            self.note(id(manager), what)
            return enter(manager)

        def left(manager: Any, *exception: Any) -> Any:
            self.undone(id(manager))
            return leave(manager, *exception)

        with attribute(kind, "__enter__", entered), attribute(kind, "__exit__", left):
            yield

    @contextlib.contextmanager
    def _directory(self) -> Iterator[None]:
        change, before = os.chdir, Path.cwd()

        def chdir(path: Any) -> None:
            change(path)
            if Path.cwd() == before:
                self.undone("directory")
            else:
                self.note("directory", "the working directory")

        with attribute(os, "chdir", chdir):
            yield

    def _environ(self) -> type[Environ]:
        guard, before = self, dict(os.environ)

        def changed(key: str) -> None:
            if os.environ.get(key) == before.get(key):
                guard.undone(("environ", key))
            else:
                guard.note(("environ", key), f"os.environ[{key!r}]")

        class Watched(Environ):
            def __setitem__(self, key: str, value: str) -> None:
                super().__setitem__(key, value)
                changed(key)

            def __delitem__(self, key: str) -> None:
                super().__delitem__(key)
                changed(key)

        return Watched
