"""SQLAlchemy pools in parts: one for each slot, while tests are in flight together.

The invariant: a connection comes from, and goes back to, the part of the slot that it leads to, so
that a module-level engine serves each test from its own slot with warm connections. The pool itself
is the part of the home slot.
"""

from __future__ import annotations

import weakref
from typing import Any

from pytest_slipstream.databases.routing.entrance import Entrance
from pytest_slipstream.databases.routing.ownership import Ownership


class PartedPools:
    """The pools that were parted.

    Args:
        ownership: Whose the running code is.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._pools: weakref.WeakSet[Any] = weakref.WeakSet()

    def part(self, pool: Any, database: str) -> None:
        """From now on, ``pool``, which leads to a database of slipstream's, has parts."""
        if not self._ownership.in_flight or pool in self._pools or "_do_get" in vars(pool):
            return
        self._pools.add(pool)
        get, dispose = type(pool)._do_get, type(pool).dispose
        parts: dict[Entrance, Any] = {}
        ownership, whole = self._ownership, weakref.ref(pool)

        def do_get() -> Any:
            this = whole()
            entrance = ownership.own(database)
            if this is None or entrance is None or not entrance.number:
                return get(this)
            if entrance not in parts:
                parts[entrance] = this.recreate()
            return parts[entrance]._do_get()

        def dispose_all() -> None:
            while parts:
                parts.popitem()[1].dispose()
            dispose(whole())

        pool._do_get, pool.dispose = do_get, dispose_all

    async def leave(self) -> None:
        """Close the idle connections of pools with parts, the first of which is in the pool itself.

        The pools can be used afterwards.
        """
        for pool in tuple(self._pools):
            await _disposed(pool)

    def close(self) -> None:
        """Have the pools be whole again."""
        for pool in self._pools:
            del pool._do_get, pool.dispose


async def _disposed(pool: Any) -> None:
    """An asynchronous engine's connections are closed on the running event loop."""
    try:
        from sqlalchemy.util import greenlet_spawn
    except ImportError:  # before 1.4, which has no asynchronous engines
        pool.dispose()
    else:
        await greenlet_spawn(pool.dispose)
