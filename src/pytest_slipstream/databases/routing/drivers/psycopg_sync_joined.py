"""psycopg's sync connections and cursors that join the test's connection."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg._cursor_base import BaseCursor

from pytest_slipstream.databases.routing.drivers.psycopg_joined import (
    CONTROLLING,
    Joined,
    PgSession,
    session,
)
from pytest_slipstream.databases.routing.joining import TestConnection

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Entrance


class TestSession(psycopg.Connection[Any]):
    """The test's connection."""

    __test__ = False


class _RoutingLock:
    """The lock that every operation of a connection takes: here it is decided where it goes."""

    def __init__(self, connection: JoinedConnection) -> None:
        self._connection = connection
        self._held: Any = None

    def __enter__(self) -> None:
        while True:
            test = self._connection.route()
            lock = self._connection.own_lock if test is None else session(test).connection.lock
            lock.acquire()
            if test is None or test is self._connection.current():
                break
            lock.release()  # another thread ended the turn meanwhile
        self._held = lock
        self._connection.enter(test)

    def __exit__(self, *_: object) -> None:
        lock, self._held = self._held, None
        self._connection.leave()
        lock.release()


class JoinedConnection(Joined, psycopg.Connection[Any]):
    """The application's connection."""

    own_lock: Any
    _open: Callable[[], Any]
    _classes: Classes | None = None
    _cursor_factory: Any
    _server_cursor_factory: Any

    def stand_at(
        self,
        entrance: Entrance,
        parameters: Hashable,
        open_one: Callable[[], Any],
        classes: Classes,
    ) -> None:
        """From now on it can join."""
        self._open, self.parameters, self._classes = open_one, parameters, classes
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
                session(test).begin()
                joining.adopt(test)
        return test

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

    # What psycopg's Connection has

    @property
    def lock(self) -> Any:
        """psycopg's own lock, or the test's connection's."""
        return _RoutingLock(self)

    @lock.setter
    def lock(self, value: Any) -> None:
        self.own_lock = value

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

    def commit(self) -> None:
        if self.pending_settings:
            with self.kept_apart():
                super().commit()
            self.end_settings(keep=True)
        super().commit()

    def rollback(self) -> None:
        if self.pending_settings:
            with self.kept_apart():
                super().rollback()
            self.end_settings(keep=False)
        super().rollback()

    def tpc_begin(self, xid: Any) -> None:
        if self.entrance is not None:
            self.entrance.joining.give_up("it begins a two-phase transaction")
        super().tpc_begin(xid)

    def close(self) -> None:
        current = self.current()
        pool = getattr(self, "_pool", None)
        returns = pool is not None and getattr(pool, "close_returns", False)
        if current is not None and current.transactions.is_open(self) and not returns:
            with self.lock:
                self.wait(self._exec_command(b"ROLLBACK"))
        super().close()


class _Cursor(BaseCursor[Any, Any]):
    """A cursor that tells its connection what it is about to run."""

    def _announce(self, query: Any) -> Any:
        connection: Any = self._conn
        return connection.announce(query)

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        connection: Any = self._conn
        statement = self._announce(query)
        if statement.kind in CONTROLLING:
            self._reset()
            with connection.lock:
                connection.wait(connection._exec_command(query))
            return self
        if connection.concerns_session(statement):
            with connection.kept_apart():
                super().execute(query, *args, **kwargs)  # type: ignore[misc]
            connection.note_setting(query)
            return self
        return super().execute(query, *args, **kwargs)  # type: ignore[misc]

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
        self._announce(query)
        super().executemany(query, *args, **kwargs)  # type: ignore[misc]

    def stream(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        self._announce(query)
        return super().stream(query, *args, **kwargs)  # type: ignore[misc]

    def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
        self._announce(statement)
        return super().copy(statement, *args, **kwargs)  # type: ignore[misc]


class Classes:
    """The classes that the application asked for, each with joining mixed in."""

    def __init__(self) -> None:
        self._made: dict[type, type] = {}

    def connection(self, wanted: type) -> type:
        """A class of connections."""
        return self._mixed(wanted, JoinedConnection, (JoinedConnection,))

    def cursor(self, wanted: Any) -> Any:
        """A class of cursors; a factory that is no class stays as it is."""
        if not isinstance(wanted, type):
            return wanted
        return self._mixed(wanted, _Cursor, (_Cursor, wanted))

    def _mixed(self, wanted: type, mixin: type, bases: tuple[type, ...]) -> type:
        if issubclass(wanted, mixin):
            return wanted
        if wanted not in self._made:
            if len(bases) == 1 and not issubclass(mixin, wanted):
                bases = (wanted, mixin)
            self._made[wanted] = type(wanted.__name__, bases, {"__module__": wanted.__module__})
        return self._made[wanted]
