"""What plain drivers' connections to slots take of a test; Peewee's are among these.

The door tells which connections the application got. The methods of drivers' classes are replaced
while the run lasts; sqlite3's and psycopg2's classes are C, and get a subclass, see `told_sqlite`
and `told_psycopg2`. The invariant: a method does what it would do without, each statement is told
once, by the outermost method, and those of SQLAlchemy's connections by SQLAlchemy alone.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from pytest_slipstream.accounting.replaced import Replaced
from pytest_slipstream.accounting.statements import BY_SQLALCHEMY, Charge
from pytest_slipstream.accounting.teller import Teller, told_as
from pytest_slipstream.accounting.turn import Turn
from pytest_slipstream.clock import clock

_STATEMENT, _CONNECT, _BLOCK, _IN_THREAD = "statement", "connect", "block", "in a thread"
_CURSOR = {"execute": _STATEMENT, "executemany": _STATEMENT}
_ENDS = {"commit": "commits", "rollback": "rollbacks"}
_ENDS_AND_BEGIN = {**_ENDS, "begin": "transaction control"}
_QUERY = {"query": _STATEMENT, **_ENDS_AND_BEGIN}
_JOINED = "pytest_slipstream.databases.routing.drivers.mysql_joined"


def _of(classes: str, methods: dict[str, str]) -> dict[str, str]:
    return {f"{name}.{method}": how for name in classes.split() for method, how in methods.items()}


CALLS: dict[str, dict[str, str]] = {
    "psycopg": {
        **_of("Cursor ServerCursor AsyncCursor AsyncServerCursor", _CURSOR),
        **_of("Connection AsyncConnection", _ENDS),
        **_of("Transaction", {"__enter__": _BLOCK, "__exit__": _BLOCK}),
        **_of("AsyncTransaction", {"__aenter__": _BLOCK, "__aexit__": _BLOCK}),
    },
    "pymysql": {
        **_of("cursors.Cursor", {**_CURSOR, "callproc": "queries"}),
        **_of("connections.Connection", _ENDS_AND_BEGIN),
    },
    _JOINED: _of("Joined", _ENDS_AND_BEGIN),
    "aiomysql": _of("connection.Connection", _QUERY),
    "asyncmy": _of("connection.Connection", _QUERY),
    "asyncpg": _of(
        "connection.Connection",
        dict.fromkeys(
            ("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany"), _STATEMENT
        ),
    ),
    "aiosqlite": _of("core.Connection", {"_connect": _CONNECT, "_execute": _IN_THREAD}),
}
"""What is told of each driver's classes, and how, or as what."""

_FRAMES = 5
_AIOSQLITE = "aiosqlite.core"
_ASKED: ContextVar[tuple[float, float] | None] = ContextVar("slipstream_connecting", default=None)


class Connections:
    """Tells what the application's connections to slots do, from `put_up` to `take_down`.

    Args:
        charge: Takes what each call took, right after it.
        whose: The test that the running code belongs to, if it is known.
    """

    def __init__(self, charge: Charge, whose: Callable[[], Turn | None]) -> None:
        self._charge = charge
        self._whose = whose
        self._told: WeakKeyDictionary[Any, Teller] = WeakKeyDictionary()
        self._in_threads: set[int] = set()
        self._has_given = False
        self._replaced = Replaced(CALLS, self._around)

    def put_up(self) -> None:
        """Tell from now on."""
        self._replaced.put_up()

    def take_down(self) -> None:
        """Put everything back."""
        self._replaced.take_down()

    # What the door says.

    def asked(self) -> None:
        """The application connects to a slot."""
        _ASKED.set((clock.seconds(), clock.processor()))

    def given(self, connection: Any) -> None:
        """It has got this connection."""
        if BY_SQLALCHEMY.get():
            return
        if _is_called_by(_AIOSQLITE):  # whose connection is told, once it has this one
            self._in_threads.add(id(connection))
            return
        if self._whose() is not None:
            self._tell_connecting()
        teller, self._has_given = Teller(self._charge), True
        if hasattr(connection, "slipstream_teller"):
            connection.slipstream_teller = teller
            return
        with suppress(TypeError):  # sqlite3's own class, by a factory that is no class
            self._told[connection] = teller

    def silence(self, cursor: Any) -> None:
        """SQLAlchemy runs a statement: also on a connection that its ``creator`` opened."""
        connection = getattr(cursor, "connection", None) if self._has_given else None
        if connection is not None:
            teller = getattr(connection, "slipstream_teller", None) or self._teller(connection)
            if teller is not None:
                teller.is_busy = True

    def connection_class(self, wanted: type) -> type:
        """The class that makes a connection of a driver whose class is C."""
        if BY_SQLALCHEMY.get() or _is_called_by(_AIOSQLITE):
            return wanted
        if any(base.__module__.startswith("psycopg2") for base in wanted.__mro__):
            from pytest_slipstream.accounting import told_psycopg2

            return told_psycopg2.CLASSES.connection(wanted)
        from pytest_slipstream.accounting import told_sqlite

        return told_sqlite.CLASSES.connection(wanted)

    def _tell_connecting(self) -> None:
        asked, _ = _ASKED.get(), _ASKED.set(None)
        if asked is not None:
            seconds, cpu_s = clock.seconds() - asked[0], clock.processor() - asked[1]
            self._charge("connections", seconds, cpu_s, "")

    # Methods of drivers' classes.

    def _around(self, original: Callable[..., Any], how: str) -> Callable[..., Any]:
        if how == _CONNECT:
            return self._around_connect(original)
        if inspect.iscoroutinefunction(original):

            @wraps(original)
            async def call_async(of: Any, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                teller = self._teller(of)
                if teller is None or (counted := _counted(how, of, args, kwargs)) is None:
                    return await original(of, *args, **kwargs)
                with teller.telling(*counted):
                    return await original(of, *args, **kwargs)

            return call_async

        @wraps(original)
        def call(of: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            teller = self._teller(of)
            if teller is None or (counted := _counted(how, of, args, kwargs)) is None:
                return original(of, *args, **kwargs)
            with teller.telling(*counted):
                return original(of, *args, **kwargs)

        return call

    def _around_connect(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """aiosqlite connects in a thread of the connection's own, which belongs to nobody."""

        @wraps(original)
        async def connect(of: Any) -> Any:
            __tracebackhide__ = True
            began, cpu = clock.seconds(), clock.processor()
            done = await original(of)
            if id(of._conn) in self._in_threads and not BY_SQLALCHEMY.get():
                self._charge("connections", clock.seconds() - began, clock.processor() - cpu, "")
                self._told[of] = Teller(self._charge)
            self._in_threads.discard(id(of._conn))
            return done

        return connect

    def _teller(self, of: Any) -> Teller | None:
        """Of a connection, or of what says by ``connection`` which one it belongs to."""
        try:
            teller = self._told.get(of) or self._told.get(getattr(of, "connection", None))
        except TypeError:  # closed: its cursor has None
            return None
        return None if teller is None or teller.is_busy else teller


def _is_called_by(module: str) -> bool:
    """Whether a call of the door comes from there: a few frames from here."""
    frame = sys._getframe(1)
    names: list[object] = []
    while frame.f_back is not None and len(names) < _FRAMES:
        frame = frame.f_back
        names.append(frame.f_globals.get("__name__"))
    return module in names


def _counted(
    how: str, of: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, str] | None:
    if how == _STATEMENT:
        given = args[0] if args else next(iter(kwargs.values()), "")
        return told_as(given, getattr(of, "connection", of))
    if how == _BLOCK:
        return ("rollbacks" if args and args[0] is not None else "transaction control"), ""
    if how != _IN_THREAD:
        return how, ""
    name = str(getattr(args[0], "__name__", ""))
    if "execute" in name and len(args) > 1:
        return told_as(args[1])
    return (_ENDS[name], "") if name in _ENDS else None
