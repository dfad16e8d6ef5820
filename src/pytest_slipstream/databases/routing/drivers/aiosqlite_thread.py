"""aiosqlite's threads: what one does for a task belongs to the test that the task belongs to.

Connections themselves come through `sqlite`, since aiosqlite opens them with sqlite3.
"""

from __future__ import annotations

import functools
from contextvars import copy_context
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "sqlite"


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Have each operation of a connection run in the context of the code that asked for it."""
    holder = module.core.Connection
    original = vars(holder)["_execute"]

    @functools.wraps(original)
    async def execute(connection: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if door.ownership.in_flight:
            function = functools.partial(copy_context().run, function)
        return await original(connection, function, *args, **kwargs)

    return [Patch(holder, "_execute", execute)]
