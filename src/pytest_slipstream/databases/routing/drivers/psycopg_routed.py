"""How a psycopg connection, sync or async, comes to the test's connection.

The test's connection is one session for both: libpq knows of no event loop, so it is opened and
begun without one. The invariant: between two operations a connection is on nobody's session.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg._cursor_base import BaseCursor

from pytest_slipstream.databases.routing.drivers.classes import Classes
from pytest_slipstream.databases.routing.drivers.psycopg_joined import (
    Joined,
    PgSession,
    session,
)
from pytest_slipstream.databases.routing.physical import TestConnection

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance


class TestSession(psycopg.Connection[Any]):
    """The test's connection."""

    __test__ = False


class Routed(Joined):
    """The application's connection: where its next operation goes."""

    _open: Callable[[], Any]
    _classes: Classes | None = None
    _cursor_factory: Any
    _server_cursor_factory: Any

    def stand_at(
        self,
        entrance: Entrance,
        parameters: Hashable,
        classes: Classes,
        conninfo: Any,
        kwargs: dict[str, Any],
    ) -> None:
        """From now on it can join; the others are what `connect` was called with."""
        self._open = _opener(conninfo, kwargs)
        self.parameters, self._classes = parameters, classes
        self.cursor_factory = self._cursor_factory
        self.server_cursor_factory = self._server_cursor_factory
        self.entrance = entrance

    def current(self) -> TestConnection | None:
        """The test's connection, if there is one now."""
        return self.entrance.joining.current if self.entrance is not None else None

    def route(self) -> TestConnection | None:
        """The test's connection, if the next operation joins it."""
        if self.is_alone():
            return None
        assert self.entrance is not None
        joining = self.entrance.joining
        with joining.lock:
            test = joining.find(self.key)
            if test is None and joining.active:
                test = joining.kept(self.key) or self._new()
                joining.adopt(test).transactions.owe(("BEGIN",))
        return test

    def hold(self, test: TestConnection, *, waits: bool) -> None:
        """An operation is about to take the lock of the test's connection.

        Args:
            test: The test's connection.
            waits: Whether other tasks of this thread go on while this one waits for the lock.

        Raises:
            IsolationError: It would wait for itself.
        """
        holder, (thread, task) = session(test).holder, _running()
        if holder is not None and holder[0] == thread and (not waits or holder[1] is task):
            assert self.entrance is not None
            self.entrance.joining.give_up(
                "it uses a connection while an operation of another one goes on"
            )

    def enter(self, test: TestConnection | None) -> None:
        super().enter(test)
        if test is not None:
            session(test).holder = _running()

    def leave(self) -> None:
        if self.test is not None:
            session(self.test).holder = None
        super().leave()

    def _new(self) -> TestConnection:
        assert self.entrance is not None
        connection = self._open()
        self.entrance.opened(connection)
        for setting in self.settings + self.pending_settings:
            connection.execute(setting)
        return TestConnection(self.key, PgSession(connection), "postgresql")

    @contextmanager
    def kept_apart(self) -> Generator[None, None, None]:
        """Operations within do not join."""
        self.apart = True
        try:
            yield
        finally:
            self.apart = False

    @property
    def cursor_factory(self) -> Any:
        """As psycopg's."""
        return self._cursor_factory

    @cursor_factory.setter
    def cursor_factory(self, wanted: Any) -> None:
        self._cursor_factory = self._classes.cursor(wanted) if self._classes else wanted

    @property
    def server_cursor_factory(self) -> Any:
        """As psycopg's."""
        return self._server_cursor_factory

    @server_cursor_factory.setter
    def server_cursor_factory(self, wanted: Any) -> None:
        self._server_cursor_factory = self._classes.cursor(wanted) if self._classes else wanted


def _opener(conninfo: Any, kwargs: dict[str, Any]) -> Callable[[], Any]:
    """What opens a test's connection to where the application's connects to."""
    options = {
        name: value
        for name, value in kwargs.items()
        if name not in ("context", "row_factory", "cursor_factory", "autocommit")
    }
    return lambda: TestSession.connect(conninfo, autocommit=True, **options)


def _running() -> tuple[int, Any]:
    """The thread and the task that run now."""
    try:
        return threading.get_ident(), asyncio.current_task()
    except RuntimeError:
        return threading.get_ident(), None


class RoutedClasses(Classes):
    """psycopg's cursors have no class in common but the one that has no `execute`."""

    def cursor(self, wanted: Any) -> Any:
        """A class of cursors; what is not psycopg's stays as it is."""
        is_psycopgs = isinstance(wanted, type) and issubclass(wanted, BaseCursor)
        return super().cursor(wanted) if is_psycopgs else wanted

    def _bases(self, wanted: type, mixin: type) -> tuple[type, ...]:
        """The part of a cursor comes before the whole one, whose methods it calls."""
        if issubclass(wanted, BaseCursor):
            return (mixin, wanted)
        return super()._bases(wanted, mixin)
