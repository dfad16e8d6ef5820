"""The standard library's sqlite3 at the door; aiosqlite opens its connections through it."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "sqlite"
_POSITIONS = (
    "database",
    "timeout",
    "detect_types",
    "isolation_level",
    "check_same_thread",
    "factory",
    "cached_statements",
    "uri",
)


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `sqlite3.connect`, under both of its names."""
    from pytest_slipstream.databases.routing.drivers.classes import Classes
    from pytest_slipstream.databases.routing.drivers.sqlite_joined import (
        JoinedConnection,
        JoinedCursor,
    )

    original = module.connect
    joined = Classes(JoinedConnection, JoinedCursor)

    def connect(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(_POSITIONS, args, strict=False)) | kwargs
        entrance = door.to_file(given.get("database"), is_uri=bool(given.get("uri", False)))
        if entrance is None:
            return original(*args, **kwargs)
        factory = given.get("factory", module.Connection)
        if not inspect.isclass(factory):
            connection = original(*args, **kwargs)
            entrance.opened(connection)
            return connection
        factory = entrance.connection_class(factory)
        joins = entrance.joining.possible
        if joins:
            factory = joined.connection(factory)
        connection = original(**{**given, "factory": factory})
        entrance.opened(connection)
        if joins:
            connection.stand_at(entrance, given, joined)
        return connection

    return [Patch(module, "connect", connect), Patch(module.dbapi2, "connect", connect)]
