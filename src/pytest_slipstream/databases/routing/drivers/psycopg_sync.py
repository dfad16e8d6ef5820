"""psycopg 3's `Connection` at the door, and how it joins the test's connection."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "postgresql"


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `psycopg.Connection.connect`, and `psycopg.connect`, which is the same."""
    from pytest_slipstream.databases.routing.drivers import (
        psycopg_joined,
        psycopg_routed,
        psycopg_sync_joined,
    )

    original = vars(module.Connection)["connect"].__func__
    classes = psycopg_routed.Classes(
        psycopg_sync_joined.JoinedConnection, psycopg_sync_joined.JoinedCursor
    )

    def connect(cls: Any, /, conninfo: Any = "", **kwargs: Any) -> Any:
        if cls.__module__.startswith("pytest_slipstream."):
            return original(cls, conninfo, **kwargs)
        entrance, parameters = psycopg_joined.target(door, conninfo, kwargs)
        if entrance is None or not entrance.joins:
            connection = original(cls, conninfo, **kwargs)
        else:
            open_one = psycopg_routed.opener(conninfo, kwargs)
            connection = original(classes.connection(cls), conninfo, **kwargs)
            connection.stand_at(entrance, parameters, open_one, classes)
        if entrance is not None:
            entrance.opened(connection)
        return connection

    method = classmethod(connect)
    return [
        psycopg_joined.cursor_patch(),
        psycopg_joined.transaction_patch(),
        Patch(module.Connection, "connect", method),
        Patch(module, "connect", method.__get__(None, module.Connection)),
    ]
