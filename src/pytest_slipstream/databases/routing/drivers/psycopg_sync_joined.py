"""psycopg's sync connections and cursors that join the test's connection."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg._cursor_base import BaseCursor

from pytest_slipstream.databases.routing.drivers.psycopg_joined import CONTROLLING, session
from pytest_slipstream.databases.routing.drivers.psycopg_routed import Routed


class _RoutingLock:
    """The lock that every operation of a connection takes: here it is decided where it goes."""

    def __init__(self, connection: JoinedConnection) -> None:
        self._connection = connection
        self._held: Any = None

    def __enter__(self) -> None:
        while True:
            test = self._connection.route()
            if test is None:
                lock = self._connection.own_lock
            else:
                lock = session(test).connection.lock
                self._connection.hold(test, waits=False)
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


class JoinedConnection(Routed, psycopg.Connection[Any]):
    """The application's connection."""

    own_lock: Any

    # What psycopg's Connection has

    @property
    def lock(self) -> Any:
        """psycopg's own lock, or the test's connection's."""
        return _RoutingLock(self)

    @lock.setter
    def lock(self, value: Any) -> None:
        self.own_lock = value

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
        try:
            if current is not None and current.transactions.is_open(self) and not returns:
                with self.lock:
                    self.wait(self._exec_command(b"ROLLBACK"))
        finally:
            super().close()


class JoinedCursor(BaseCursor[Any, Any]):
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
