"""asyncmy at the door."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from pytest_slipstream.databases.routing.drivers import Patch

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door

ENGINE = "mysql"


def patches(module: ModuleType, door: Door) -> list[Patch]:
    """Replace `asyncmy.connect`, also for its pools."""
    from pytest_slipstream.databases.routing.drivers import mysql_async_joined

    return mysql_async_joined.patches(module, door, ("_proto", "_transport"), "connect")
