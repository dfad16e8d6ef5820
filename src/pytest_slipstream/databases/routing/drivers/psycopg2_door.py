"""psycopg2 at the door."""

from __future__ import annotations

import inspect
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "postgresql"
_INDIFFERENT = frozenset(("application_name", "connect_timeout", "password"))


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `psycopg2.connect`."""
    from psycopg2 import extensions

    from pytest_slipstream.databases.routing.drivers.classes import Classes
    from pytest_slipstream.databases.routing.drivers.psycopg2_joined import (
        JoinedConnection,
        JoinedCursor,
    )

    original = module.connect
    classes = Classes(JoinedConnection, JoinedCursor)

    def connect(
        dsn: Any = None, connection_factory: Any = None, cursor_factory: Any = None, **kwargs: Any
    ) -> Any:
        given = _parameters(dsn, kwargs)
        entrance = door.to_server(given.get("dbname") or os.environ.get("PGDATABASE"))
        wanted = connection_factory or extensions.connection
        is_async = kwargs.get("async") or kwargs.get("async_")
        joins = entrance is not None and entrance.joins and not is_async
        if entrance is not None and entrance.renamed:
            kwargs["dbname"] = given["dbname"] = entrance.address.database
            kwargs.pop("database", None)
        if entrance is not None and inspect.isclass(wanted) and not is_async:
            connection_factory = wanted = entrance.class_of(wanted)
        if entrance is None or not joins or not inspect.isclass(wanted):
            connection = original(dsn, connection_factory, cursor_factory, **kwargs)
        else:
            made = classes.connection(wanted)
            connection = original(dsn, made, cursor_factory, **kwargs)
            parameters = tuple(sorted((k, v) for k, v in given.items() if k not in _INDIFFERENT))
            connection.stand_at(entrance, parameters, lambda: original(dsn, **kwargs), classes)
        if entrance is not None:
            entrance.opened(connection)
            entrance.given(connection)
        return connection

    return [Patch(module, "connect", connect)]


def _parameters(dsn: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    from psycopg2 import errors, extensions

    libpq = {name: value for name, value in kwargs.items() if name not in ("async", "async_")}
    try:
        found: dict[str, Any] = extensions.parse_dsn(extensions.make_dsn(dsn, **libpq))
    except (TypeError, ValueError, errors.Error):
        return {}  # the call itself says it better
    return found
