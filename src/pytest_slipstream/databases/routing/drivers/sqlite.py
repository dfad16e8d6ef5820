"""The standard library's sqlite3 at the door; aiosqlite opens its connections through it."""

from __future__ import annotations

import inspect
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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
        if entrance.renamed:
            given["database"] = _of_slot(given["database"], entrance.address.path)
        factory = given.get("factory", module.Connection)
        if not inspect.isclass(factory):
            connection = original(**given)
            entrance.opened(connection)
            return connection
        factory = entrance.class_of(entrance.connection_class(factory))
        joins = entrance.joins
        if joins:
            factory = joined.connection(factory)
        connection = original(**{**given, "factory": factory})
        entrance.opened(connection)
        if joins:
            connection.stand_at(entrance, given, joined)
        entrance.given(connection)
        return connection

    return [Patch(module, "connect", connect), Patch(module.dbapi2, "connect", connect)]


def _of_slot(asked: Any, path: str) -> str:
    """What to open in the place of what was asked for; a URI's parameters stay."""
    name = os.fsdecode(asked)
    if not name.startswith("file:"):
        return path
    place = path if path.startswith("file:") else f"file:{quote(path)}"
    query = name.partition("?")[2]
    return f"{place.partition('?')[0]}?{query}" if query else place
