"""psycopg 3's connect calls, sync and async, at the door.

The invariant: what joining needs of psycopg's inside is imported, and replaced, when the first
connection is opened that may have to join; a run without `rollback` does without all of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door
    from pytest_slipstream.databases.routing.drivers.classes import Classes
    from pytest_slipstream.databases.routing.entrance import Entrance

ENGINE = "postgresql"
_INDIFFERENT = frozenset(("application_name", "connect_timeout", "password"))
_NOT_OF_LIBPQ = frozenset(
    ("autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory")
)
AllClasses = Callable[[], "dict[str, Classes]"]


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `connect` of `psycopg.Connection` and `AsyncConnection`, and `psycopg.connect`."""
    classes = cache(partial(_classes, door))
    sync = _connect(vars(module.Connection)["connect"].__func__, door, classes)
    asynchronous = _connect_async(vars(module.AsyncConnection)["connect"].__func__, door, classes)
    method: Any = classmethod(sync)
    return [
        Patch(module.Connection, "connect", method),
        Patch(module, "connect", method.__get__(None, module.Connection)),
        Patch(module.AsyncConnection, "connect", classmethod(asynchronous)),
    ]


def _classes(door: Door) -> dict[str, Classes]:
    """The classes that can join; none where psycopg's inside is not as they expect."""
    made: dict[str, Classes] = {}

    def join() -> list[Patch]:
        from pytest_slipstream.databases.routing.drivers import (
            psycopg_async_joined,
            psycopg_joined,
            psycopg_routed,
            psycopg_sync_joined,
        )

        made["sync"] = psycopg_routed.RoutedClasses(
            psycopg_sync_joined.JoinedConnection, psycopg_sync_joined.JoinedCursor
        )
        made["async"] = psycopg_routed.RoutedClasses(
            psycopg_async_joined.JoinedAsyncConnection, psycopg_async_joined.JoinedAsyncCursor
        )
        return [psycopg_joined.cursor_patch(), psycopg_joined.transaction_patch()]

    return made if door.replace("psycopg", join) else {}


def _connect(original: Any, door: Door, classes: AllClasses) -> Any:
    def connect(cls: Any, /, conninfo: Any = "", **kwargs: Any) -> Any:
        if cls.__module__.startswith("pytest_slipstream."):
            return original(cls, conninfo, **kwargs)
        entrance, parameters = _target(door, conninfo, kwargs)
        if entrance is None:
            return original(cls, conninfo, **kwargs)
        joined = classes().get("sync") if entrance.joins else None
        if joined is None:
            connection = original(cls, conninfo, **kwargs)
        else:
            connection = original(joined.connection(cls), conninfo, **kwargs)
            connection.stand_at(entrance, parameters, joined, conninfo, kwargs)
        entrance.opened(connection)
        entrance.given(connection)
        return connection

    return connect


def _connect_async(original: Any, door: Door, classes: AllClasses) -> Any:
    async def connect(cls: Any, /, conninfo: Any = "", **kwargs: Any) -> Any:
        entrance, parameters = _target(door, conninfo, kwargs)
        if entrance is None:
            return await original(cls, conninfo, **kwargs)
        joined = classes().get("async") if entrance.joins else None
        if joined is None:
            connection = await original(cls, conninfo, **kwargs)
        else:
            connection = await original(joined.connection(cls), conninfo, **kwargs)
            connection.stand_at(entrance, parameters, joined, conninfo, kwargs)
        entrance.opened(connection)
        entrance.given(connection)
        return connection

    return connect


def _target(door: Door, conninfo: Any, kwargs: dict[str, Any]) -> tuple[Entrance | None, Hashable]:
    """Where a connect call enters, and its parameters as far as sessions differ by them.

    ``kwargs`` names the slot afterwards.
    """
    from psycopg import Error
    from psycopg.conninfo import conninfo_to_dict

    options = {name: value for name, value in kwargs.items() if name not in _NOT_OF_LIBPQ}
    try:
        given = conninfo_to_dict(conninfo, **options)
    except (Error, TypeError, ValueError):  # the call itself says it better
        return None, ()
    entrance = door.to_server(given.get("dbname") or os.environ.get("PGDATABASE"))
    if entrance is not None and entrance.renamed:
        kwargs["dbname"] = given["dbname"] = entrance.address.database
    parameters = sorted(  # to libpq, an empty one is not there
        (name, str(value)) for name, value in given.items() if value and name not in _INDIFFERENT
    )
    return entrance, tuple(parameters)
