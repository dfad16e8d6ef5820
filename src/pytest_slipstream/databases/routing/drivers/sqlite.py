"""The standard library's sqlite3 at the door; aiosqlite opens its connections through it."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "sqlite"
_URI = 7  # the position of the argument ``uri`` of `sqlite3.connect`


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `sqlite3.connect`, under both of its names."""
    original = module.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        is_uri = args[_URI] if len(args) > _URI else kwargs.get("uri", False)
        database = args[0] if args else kwargs.get("database")
        entrance = door.to_file(database, is_uri=bool(is_uri))
        connection = original(*args, **kwargs)
        if entrance is not None:
            entrance.opened(connection)
        return connection

    return [Patch(module, "connect", connect), Patch(module.dbapi2, "connect", connect)]
