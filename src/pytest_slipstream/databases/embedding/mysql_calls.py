"""The connections of MySQL's drivers, moved.

All three are made after PyMySQL: whoever makes a connection, its class opens it by one method.
"""

from __future__ import annotations

import functools
import inspect
from functools import partial
from typing import Any

from pytest_slipstream.databases.embedding import calls
from pytest_slipstream.databases.embedding.standin import StandIn
from pytest_slipstream.databases.embedding.targets import Target, server_name
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing.drivers import Patch


def patches(kind: type, method: str, prefix: str, stand_in: StandIn) -> list[Patch]:
    """The method that opens a connection.

    Args:
        kind: The driver's class.
        method: Its name.
        prefix: Of the attributes that say where a connection goes.
        stand_in: Where it goes then.
    """
    original = vars(kind)[method]
    socket = f"{prefix}unix_socket"

    def move(connection: Any, address: Address) -> Any:
        setattr(connection, socket, address.socket)
        return original(connection)

    def is_moved(connection: Any) -> bool:
        return bool(getattr(connection, socket) == stand_in.own.socket)

    def parts(connection: Any) -> tuple[Any, ...]:
        target = _target(connection, prefix)
        return stand_in, target, partial(move, connection), partial(original, connection)

    @functools.wraps(original)
    def open_one(connection: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or is_moved(connection):  # over a socket that is there, or once more
            return original(connection, *args, **kwargs)
        return calls.connect(*parts(connection))

    @functools.wraps(original)
    async def open_async(connection: Any) -> Any:
        if is_moved(connection):
            return await original(connection)
        return await calls.connect_async(*parts(connection))

    is_async = inspect.iscoroutinefunction(original)
    return [Patch(kind, method, open_async if is_async else open_one)]


def _target(connection: Any, prefix: str) -> Target:
    def found(name: str) -> Any:
        value = getattr(connection, prefix + name, None)
        return value.decode() if isinstance(value, bytes) else value

    socket = found("unix_socket") or ""
    host, port = (socket, None) if socket else (found("host") or "", found("port"))
    return Target(
        host=host,
        server=server_name("mysql", host, port),
        user=found("user") or "",
        password=found("password") or "",
        database=found("db") or "",
    )
