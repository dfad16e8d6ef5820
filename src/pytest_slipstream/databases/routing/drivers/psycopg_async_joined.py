"""psycopg's async connections and cursors that join the test's connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg._cursor_base import BaseCursor

from pytest_slipstream.databases.routing.drivers.psycopg_joined import CONTROLLING, session
from pytest_slipstream.databases.routing.drivers.psycopg_routed import Routed
from pytest_slipstream.databases.routing.physical import TestConnection

_PATIENCE_S = 0.001


class _RoutingLock:
    """The lock that every operation of a connection takes: here it is decided where it goes."""

    def __init__(self, connection: JoinedAsyncConnection) -> None:
        self._connection = connection
        self._held: Any = None
        self._test: TestConnection | None = None

    async def __aenter__(self) -> None:
        connection = self._connection
        while True:
            test = connection.route()
            if test is None:
                await connection.own_lock.acquire()
                self._held = connection.own_lock
                break
            connection.hold(test, waits=True)
            await self._acquire(test)
            if test is connection.current():
                break
            self._release()  # the turn ended meanwhile
        connection.enter(test)

    async def _acquire(self, test: TestConnection) -> None:
        """First the lock of this event loop's tasks, then the one between threads."""
        loop = asyncio.get_running_loop()
        self._held = session(test).locks.setdefault(loop, asyncio.Lock())
        await self._held.acquire()
        try:
            while not session(test).connection.lock.acquire(blocking=False):
                await asyncio.sleep(_PATIENCE_S)
        except BaseException:
            self._held.release()
            raise
        self._test = test

    async def __aexit__(self, *_: object) -> None:
        self._connection.leave()
        self._release()

    def _release(self) -> None:
        if self._test is not None:
            session(self._test).connection.lock.release()
        self._held.release()
        self._held, self._test = None, None


class JoinedAsyncConnection(Routed, psycopg.AsyncConnection[Any]):
    """The application's connection."""

    own_lock: Any

    # What psycopg's AsyncConnection has

    @property
    def lock(self) -> Any:
        """psycopg's own lock, or the test's connection's."""
        return _RoutingLock(self)

    @lock.setter
    def lock(self, value: Any) -> None:
        self.own_lock = value

    async def commit(self) -> None:
        if self.pending_settings:
            with self.kept_apart():
                await super().commit()
            self.end_settings(keep=True)
        await super().commit()

    async def rollback(self) -> None:
        if self.pending_settings:
            with self.kept_apart():
                await super().rollback()
            self.end_settings(keep=False)
        await super().rollback()

    async def tpc_begin(self, xid: Any) -> None:
        if self.entrance is not None:
            self.entrance.joining.give_up("it begins a two-phase transaction")
        await super().tpc_begin(xid)

    async def close(self) -> None:
        current = self.current()
        pool = getattr(self, "_pool", None)
        returns = pool is not None and getattr(pool, "close_returns", False)
        try:
            if current is not None and current.transactions.is_open(self) and not returns:
                async with self.lock:
                    await self.wait(self._exec_command(b"ROLLBACK"))
        finally:
            await super().close()


class JoinedAsyncCursor(BaseCursor[Any, Any]):
    """A cursor that tells its connection what it is about to run."""

    def _announce(self, query: Any) -> Any:
        connection: Any = self._conn
        return connection.announce(query)

    async def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        connection: Any = self._conn
        statement = self._announce(query)
        if statement.kind in CONTROLLING:
            self._reset()
            async with connection.lock:
                await connection.wait(connection._exec_command(query))
            return self
        if connection.concerns_session(statement):
            with connection.kept_apart():
                await super().execute(query, *args, **kwargs)  # type: ignore[misc]
            connection.note_setting(query)
            return self
        return await super().execute(query, *args, **kwargs)  # type: ignore[misc]

    async def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
        self._announce(query)
        await super().executemany(query, *args, **kwargs)  # type: ignore[misc]

    async def stream(self, query: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self._announce(query)
        async for row in super().stream(query, *args, **kwargs):  # type: ignore[misc]
            yield row

    @asynccontextmanager
    async def copy(self, statement: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self._announce(statement)
        async with super().copy(statement, *args, **kwargs) as copy:  # type: ignore[misc]
            yield copy
