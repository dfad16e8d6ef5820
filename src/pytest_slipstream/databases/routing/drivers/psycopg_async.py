"""psycopg 3's `AsyncConnection` at the door."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "postgresql"


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `psycopg.AsyncConnection.connect`.

    The test's connection is opened by `psycopg.Connection`: sync and async code share it.
    """
    from pytest_slipstream.databases.routing.drivers import (
        psycopg_async_joined,
        psycopg_joined,
        psycopg_routed,
    )

    original = vars(module.AsyncConnection)["connect"].__func__
    classes = psycopg_routed.Classes(
        psycopg_async_joined.JoinedAsyncConnection, psycopg_async_joined.JoinedAsyncCursor
    )
    locks = psycopg_async_joined.Locks()

    async def connect(cls: Any, /, conninfo: Any = "", **kwargs: Any) -> Any:
        entrance, parameters = psycopg_joined.target(door, conninfo, kwargs)
        if entrance is None or not entrance.joins:
            connection = await original(cls, conninfo, **kwargs)
        else:
            connection = await original(classes.connection(cls), conninfo, **kwargs)
            open_one = psycopg_routed.opener(conninfo, kwargs)
            connection.stand_at(entrance, parameters, open_one, classes)
            connection.locks = locks
        if entrance is not None:
            entrance.opened(connection)
        return connection

    return [Patch(module.AsyncConnection, "connect", classmethod(connect))]
