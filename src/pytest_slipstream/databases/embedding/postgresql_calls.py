"""The connect calls of PostgreSQL's drivers, moved.

Host and port are all that is exchanged: role, password and database have the names that they have.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from pytest_slipstream.databases.embedding import calls
from pytest_slipstream.databases.embedding.standin import StandIn
from pytest_slipstream.databases.embedding.targets import Target, libpq_of_url, of_libpq
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing.drivers import Patch

_OWN = "pytest_slipstream."
_NOT_OF_LIBPQ = frozenset(
    ("autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory")
)


def psycopg_patches(module: ModuleType, stand_in: StandIn) -> list[Patch]:
    """`connect` of `psycopg.Connection` and `AsyncConnection`, and `psycopg.connect`."""
    from psycopg.conninfo import conninfo_to_dict

    connect_sync = vars(module.Connection)["connect"].__func__
    connect_async = vars(module.AsyncConnection)["connect"].__func__

    def target(cls: type, conninfo: Any, kwargs: dict[str, Any]) -> Target | None:
        # None where the call itself says better what is wrong, or is slipstream's own.
        if cls.__module__.startswith(_OWN):
            return None
        options = {name: kwargs[name] for name in kwargs.keys() - _NOT_OF_LIBPQ}
        try:
            return of_libpq(conninfo_to_dict(conninfo, **options), os.environ)
        except (module.Error, TypeError, ValueError):
            return None

    @functools.wraps(connect_sync)
    def connect(cls: Any, /, conninfo: Any = "", **kwargs: Any) -> Any:
        call = partial(connect_sync, cls, conninfo)
        return _either(stand_in, target(cls, conninfo, kwargs), call, kwargs)

    @functools.wraps(connect_async)
    async def aconnect(cls: Any, /, conninfo: Any = "", **kwargs: Any) -> Any:
        call, found = partial(connect_async, cls, conninfo), target(cls, conninfo, kwargs)
        if found is None:
            return await call(**kwargs)
        return await calls.connect_async(
            stand_in,
            found,
            lambda address: call(**kwargs | _place(address)),
            lambda: call(**kwargs),
        )

    method: Any = classmethod(connect)
    return [
        Patch(module.Connection, "connect", method),
        Patch(module, "connect", method.__get__(None, module.Connection)),
        Patch(module.AsyncConnection, "connect", classmethod(aconnect)),
    ]


def psycopg2_patches(module: ModuleType, stand_in: StandIn) -> list[Patch]:
    """`psycopg2.connect`."""
    from psycopg2 import Error, extensions

    original = module.connect

    def target(dsn: Any, kwargs: dict[str, Any]) -> Target | None:
        libpq = {name: value for name, value in kwargs.items() if name not in ("async", "async_")}
        try:
            return of_libpq(extensions.parse_dsn(extensions.make_dsn(dsn, **libpq)), os.environ)
        except (Error, TypeError, ValueError):
            return None

    @functools.wraps(original)
    def connect(
        dsn: Any = None, connection_factory: Any = None, cursor_factory: Any = None, **kwargs: Any
    ) -> Any:
        call = partial(original, dsn, connection_factory, cursor_factory)
        return _either(stand_in, target(dsn, kwargs), call, kwargs)

    return [Patch(module, "connect", connect)]


def asyncpg_patches(module: ModuleType, stand_in: StandIn) -> list[Patch]:
    """`asyncpg.connect`, under both of its names; pools use the second."""
    original = module.connect

    @functools.wraps(original)
    async def connect(*args: Any, **kwargs: Any) -> Any:
        def move(address: Address) -> Any:
            return original(*args, **kwargs | {"host": address.socket_dir, "port": address.port})

        return await calls.connect_async(
            stand_in, _of_asyncpg(args, kwargs), move, lambda: original(*args, **kwargs)
        )

    return [Patch(module, "connect", connect), Patch(module.connection, "connect", connect)]


def _either(
    stand_in: StandIn, target: Target | None, call: Callable[..., Any], kwargs: dict[str, Any]
) -> Any:
    if target is None:
        return call(**kwargs)
    return calls.connect(
        stand_in, target, lambda address: call(**kwargs | _place(address)), lambda: call(**kwargs)
    )


def _place(address: Address) -> dict[str, Any]:
    """By the socket: there nobody negotiates encryption."""
    # An empty hostaddr, so that the environment's does not go before the host.
    return {"host": address.socket_dir, "hostaddr": "", "port": address.port}


def _of_asyncpg(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Target:
    given = libpq_of_url(str((args[0] if args else kwargs.get("dsn")) or ""))
    named = {"dbname": kwargs.get("database")}
    named |= {name: kwargs.get(name) for name in ("user", "password")}
    for name in ("host", "port"):
        value = kwargs.get(name)
        named[name] = next(iter(value), None) if isinstance(value, (list, tuple)) else value
    if callable(named["password"]):  # asked by asyncpg for each connection
        named["password"] = None
    return of_libpq(given | {name: value for name, value in named.items() if value}, os.environ)
