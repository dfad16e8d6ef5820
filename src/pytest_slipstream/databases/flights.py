"""Tests in flight together: which can be, and the slots that each of them owns meanwhile.

The invariant: the slot that the configuration's URL names, the home slot, is nobody's while tests
are in flight, save for the wider fixture that is being set up or torn down; each test has slots of
its own, clean when it gets them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from pytest_slipstream.databases.database import Database
from pytest_slipstream.databases.lanes.lanes import Lanes
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.ownership import Owner, owned_by
from pytest_slipstream.databases.routing.pools import Pools
from pytest_slipstream.errors import SlipstreamError

Strategies = Callable[[pytest.Item], Mapping[str, str]]
_TOGETHER = ("reset", "clone")


class Slots:
    """The slots of a test in flight, or why it has none."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {}
        self.error: SlipstreamError | None = None


class Flights:
    """The tests that are in flight together.

    Args:
        lanes: The lane that is entered has the databases.
        door: Where connections are routed.
        pools: Follow the routing.
        strategies: The databases of a test, each with its isolation strategy.
        settle: Ends what the running test has left running on the event loop.
        check_use: Told of each test that gets the value of a wider fixture.
    """

    def __init__(
        self,
        lanes: Lanes,
        door: Door,
        pools: Pools,
        strategies: Strategies,
        settle: Callable[[], None],
        check_use: Callable[[pytest.FixtureDef[Any], pytest.Item], None],
    ) -> None:
        self.shares = True
        self.check_use = check_use
        self.settle = settle
        self._lanes = lanes
        self._ownership = door.ownership
        self._pools = pools
        self._strategies = strategies
        self._slots: dict[pytest.Item, Slots] = {}
        self._free: dict[str, list[Database]] = {}
        self._made: dict[str, int] = {}
        for database in lanes.databases:
            database.entrance.watch_use(self._ownership)

    def reason_alone(self, item: pytest.Item) -> str:
        """Why a test cannot be in flight with others, or nothing."""
        found = self._strategies(item)
        if found and len(self._lanes.names) > 1:
            return "runs on one of several lanes"
        others = sorted(set(found.values()).difference(_TOGETHER))
        return f"is isolated by {others[0]}" if others else ""

    def of(self, item: pytest.Item) -> Slots | None:
        """The slots of a test that is in flight; None for one that runs alone."""
        return self._slots.get(item)

    @asynccontextmanager
    async def around(self, item: pytest.Item) -> AsyncIterator[None]:
        """Give a test slots of its own, and have its code reach them."""
        if not self._ownership.in_flight:
            self._leave_home()
        slots = self._slots[item] = self._taken(item)
        entrances = {each.name: each.entrance for each in slots.databases.values()}
        owner = Owner(item.nodeid, entrances)
        self._ownership.in_flight += 1
        try:
            with owned_by(owner):
                yield
        finally:
            owner.end()
            self._ownership.in_flight -= 1
            del self._slots[item]
            for database in slots.databases.values():
                self._give_back(database)

    def _leave_home(self) -> None:
        """What wider fixtures wrote is taken from the home slots, so nothing else may lie there."""
        self._pools.watch()
        for database in self._lanes.current.databases.values():
            if database.is_open and database.unclean:
                database.clean("", "reset")

    def _taken(self, item: pytest.Item) -> Slots:
        slots = Slots()
        try:
            for name in self._strategies(item):
                free = self._free.setdefault(name, [])
                slots.databases[name] = free.pop() if free else self._new(name)
        except SlipstreamError as error:
            slots.error = error
        return slots

    def _new(self, name: str) -> Database:
        self._made[name] = self._made.get(name, 0) + 1
        return self._lanes.current.databases[name].beside(self._made[name])

    def _give_back(self, database: Database) -> None:
        if database.unclean:  # cleaning failed, and the layers under it may be gone by now
            database.close()
        else:
            self._free[database.key].append(database)

    @contextmanager
    def shared(self, name: str) -> Iterator[None]:
        """While a wider fixture is set up or torn down, its connections go to the home slots.

        Args:
            name: The fixture, in words.
        """
        homes = {each.name: each.entrance for each in self._lanes.current.databases.values()}
        owner = Owner(name, homes)
        try:
            with owned_by(owner):
                yield
        finally:
            owner.end()

    async def landed(self) -> None:
        """The event loop ends soon, on which pools have connections to the slots."""
        await self._pools.leave_slots()

    def close(self) -> None:
        """Drop the slots."""
        for databases in self._free.values():
            while databases:
                databases.pop().close()
