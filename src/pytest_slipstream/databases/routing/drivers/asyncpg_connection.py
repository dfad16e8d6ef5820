"""asyncpg at the door.

A connection to a slot is asyncpg's own in every respect, but speaks through a `Wire`: asyncpg is
given an event loop that makes wires where it asks for sockets. So nothing of asyncpg is replaced
but its connect call, and its pools, codecs, statement caches and cancellations work as they are.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_slipstream.databases.routing.drivers import Patch
from pytest_slipstream.databases.routing.drivers import postgresql_messages as messages
from pytest_slipstream.databases.routing.drivers.asyncpg_route import Route
from pytest_slipstream.databases.routing.drivers.asyncpg_session import (
    Encrypted,
    Session,
    open_session,
)
from pytest_slipstream.databases.routing.drivers.asyncpg_transport import Transport
from pytest_slipstream.databases.routing.drivers.asyncpg_wire import Wire

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door
    from pytest_slipstream.databases.routing.entrance import Entrance

ENGINE = "postgresql"


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `asyncpg.connect`, under both of its names; pools use the second."""
    original = module.connect
    if not {"_transport", "_protocol"} <= set(module.Connection.__slots__):
        raise AttributeError("asyncpg.Connection has no _transport or no _protocol")

    @functools.wraps(original)
    async def connect(*args: Any, **kwargs: Any) -> Any:
        entrance = door.to_server(_database(args, kwargs))
        if entrance is None:
            return await original(*args, **kwargs)
        if entrance.renamed:
            kwargs["database"] = entrance.address.database
        if not entrance.joining.possible:
            connection = await original(*args, **kwargs)
            entrance.opened(connection)
        else:
            connection = await _join(original, entrance, args, kwargs)
        entrance.given(connection)
        return connection

    return [
        Patch(module, "connect", connect),
        Patch(module.connection, "connect", connect),
        *_patches_of_pool(module.pool.Pool),
        *Uses(door).patches(module),
    ]


def _patches_of_pool(pool_class: Any) -> list[Patch]:
    """Before asyncpg 0.29 only a pool's first connection was made by `asyncpg.connect`."""
    if "_working_addr" not in pool_class.__slots__:
        return []
    original = vars(pool_class)["_get_new_connection"]

    @functools.wraps(original)
    async def get_new_connection(pool: Any) -> Any:
        pool._working_addr = None  # what the first one found out, by which it is left out
        return await original(pool)

    return [Patch(pool_class, "_get_new_connection", get_new_connection)]


def _database(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The database that a call names; the user's name and service files are not looked at."""
    named = kwargs.get("database")
    if named is not None:
        return str(named)
    parts = urlsplit(str((args[0] if args else kwargs.get("dsn")) or ""))
    query = parse_qs(parts.query)
    found = query.get("database") or query.get("dbname") or [unquote(parts.path.strip("/"))]
    return found[-1] or os.environ.get("PGDATABASE", "")


async def _join(
    original: Callable[..., Any],
    entrance: Entrance,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    loop = kwargs.get("loop") or asyncio.get_running_loop()

    async def open_one() -> Session:
        session = await open_session(original, args, kwargs)
        entrance.opened(session)
        return session

    wires = LoopWithWires(loop, Wire(loop, Route(entrance.joining, open_one)))
    try:
        return await original(*args, **{**kwargs, "loop": wires})
    except Exception:  # asyncpg puts errors of its own over what the wire raised
        error = wires.wire.error
        if isinstance(error, Encrypted):
            return await original(*args, **kwargs)
        if error is not None:
            raise error from None
        raise


class Uses:
    """Sees each use of a connection that does not speak through a `Wire`.

    Args:
        door: Knows whose the running code is.
    """

    def __init__(self, door: Door) -> None:
        self._ownership = door.ownership

    def patches(self, module: ModuleType) -> list[Patch]:
        """What asyncpg calls before each operation, and when a pool hands out a connection."""
        holder = module.pool.PoolConnectionHolder
        check_open, acquire = module.Connection._check_open, vars(holder)["acquire"]

        @functools.wraps(check_open)
        def checked(connection: Any) -> None:
            check_open(connection)
            entrance = self._ownership.opened_at(connection)
            if entrance is not None:
                entrance.joining.check()

        @functools.wraps(acquire)
        async def acquired(of_pool: Any) -> Any:
            entrance = self._ownership.opened_at(of_pool._con)
            if entrance is not None and not self._ownership.is_own(entrance):
                of_pool._con.terminate()  # a new one is opened, to the slot of the running test
                of_pool._con = None
            return await acquire(of_pool)

        return [
            Patch(module.Connection, "_check_open", checked),
            Patch(holder, "acquire", acquired),
        ]


class LoopWithWires:
    """An event loop whose connections are a wire, and then what cancels its request.

    Args:
        loop: The application's.
        wire: The connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
        self._loop = loop
        self._is_used = False
        self.wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:  # asyncio looks up a loop's current task by it
        return other is self or other is self._loop

    def __hash__(self) -> int:
        return hash(self._loop)

    async def create_unix_connection(
        self, factory: Callable[[], Any], *args: Any, **kwargs: Any
    ) -> tuple[asyncio.Transport, Any]:
        """The wire; afterwards asyncpg only connects in order to cancel."""
        protocol = factory()
        transport = Cancelling(self.wire) if self._is_used else self.wire
        self._is_used = True
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return transport, protocol

    create_connection = create_unix_connection


class Cancelling(Transport):
    """The connection on which asyncpg asks to cancel what another one does.

    Args:
        wire: The other one.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def write(self, data: Any) -> None:
        """The request, of which only one kind exists, or first one for encryption."""
        if messages.is_encryption_request(data):
            self._wire.loop.call_soon(self.protocol.data_received, b"N")
            return
        self._wire.cancel()
        self._wire.loop.call_soon(self.protocol.connection_lost, None)

    def close(self) -> None:
        """Nothing is open."""
