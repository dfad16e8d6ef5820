"""A connect call that is moved, whatever the driver.

The invariant: what the driver raises is what the application gets, where nothing could be made
that it asks for.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from pytest_slipstream.databases.engines.protocol import Address

if TYPE_CHECKING:
    from pytest_slipstream.databases.embedding.standin import StandIn
    from pytest_slipstream.databases.embedding.targets import Target

_T = TypeVar("_T")
_ASKS = "sqlalchemy_utils.functions.database"


def connect(
    stand_in: StandIn, target: Target, move: Callable[[Address], _T], stay: Callable[[], _T]
) -> _T:
    """Connect to where a target is now.

    Args:
        stand_in: Knows where.
        target: What the application asks for.
        move: The driver's call, to an address.
        stay: The same as it is written.
    """
    address = stand_in.address(target)
    if address is None:
        return stay()
    try:
        connection = move(address)
    except Exception as error:  # each driver has its own
        if not stand_in.provide(target, says=str(error), only_asks=_only_asks()):
            raise
        connection = move(address)
    stand_in.opened(target)
    return connection


async def connect_async(
    stand_in: StandIn,
    target: Target,
    move: Callable[[Address], Awaitable[_T]],
    stay: Callable[[], Awaitable[_T]],
) -> _T:
    """The same for a driver that is asynchronous."""
    address = stand_in.address(target)
    if address is None:
        return await stay()
    try:
        connection = await move(address)
    except Exception as error:  # each driver has its own
        if not stand_in.provide(target, says=str(error), only_asks=_only_asks()):
            raise
        connection = await move(address)
    stand_in.opened(target)
    return connection


def _only_asks() -> bool:
    """Whether `database_exists` of SQLAlchemy-Utils connects, which asks by trying."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == _ASKS:
            return frame.f_code.co_name != "create_database"
        frame = frame.f_back
    return False
