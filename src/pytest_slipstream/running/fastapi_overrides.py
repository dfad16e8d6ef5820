"""FastAPI's ``app.dependency_overrides``, kept for each test in flight.

An application has one dict of them. The invariant: what a test or its own fixture puts there holds
for the requests of that test, and what was put there before, or by a wider fixture, for all tests
that put nothing in its place.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from pytest_slipstream.running.flights import Flight, overlapping
from pytest_slipstream.running.owners import current_owner

_NAME = "dependency_overrides"
Overrides = dict[Any, Any]


class _Own:
    """One test's overrides for one application, and those of all that they were made from.

    Keeps the application, so that no other comes to have its id.
    """

    def __init__(self, app: Any, of_all: Overrides) -> None:
        self._app = app
        self.overrides = dict(of_all)
        self._from = dict(of_all)

    def follow(self, of_all: Overrides) -> None:
        """Take over what a wider fixture has changed since, where the test has not."""
        if self._from == of_all:
            return
        for key in self._from.keys() | of_all.keys():
            if self.overrides.get(key) is not self._from.get(key):
                continue
            if key in of_all:
                self.overrides[key] = of_all[key]
            else:
                self.overrides.pop(key, None)
        self._from = dict(of_all)


class _Overrides:
    """Stands in the application's class, before the attribute of each application."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Flight, dict[int, _Own]] = WeakKeyDictionary()

    def __get__(self, app: Any, kind: type) -> Any:
        if app is None:
            return self
        of_all = app.__dict__[_NAME]
        flight = overlapping()
        if flight is None or current_owner() is not None:
            return of_all
        own = self._of.setdefault(flight, {}).setdefault(id(app), _Own(app, of_all))
        own.follow(of_all)
        return own.overrides

    def __set__(self, app: Any, value: Overrides) -> None:
        if _NAME not in app.__dict__:  # the application is being made
            app.__dict__[_NAME] = value
            return
        flight = overlapping()
        if flight is None or current_owner() is not None:
            app.__dict__[_NAME] = value
        else:
            self.__get__(app, type(app))
            self._of[flight][id(app)].overrides = value


@contextlib.contextmanager
def routed() -> Iterator[None]:
    """For the whole run, if the tests have imported FastAPI."""
    fastapi: Any = sys.modules.get("fastapi")
    if fastapi is None or hasattr(fastapi.FastAPI, _NAME):
        yield
        return
    setattr(fastapi.FastAPI, _NAME, _Overrides())
    try:
        yield
    finally:
        delattr(fastapi.FastAPI, _NAME)
