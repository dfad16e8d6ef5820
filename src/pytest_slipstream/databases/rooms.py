"""The databases' part in one process of a run: made, registered and closed together.

A run without a configured database does not import it. The invariant: after `close` and
`take_down` no slot is left, and drivers and environment are what they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.database import Emit, Surroundings
from pytest_slipstream.databases.engines.protocol import Owner, Progress
from pytest_slipstream.databases.fixtures import DatabaseFixtures, async_sessions
from pytest_slipstream.databases.flights import Flights
from pytest_slipstream.databases.hooks import CleanAfterTest, DatabaseHooks
from pytest_slipstream.databases.lanes.lanes import Lanes
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.entrance import Listener
from pytest_slipstream.databases.routing.pools import Pools
from pytest_slipstream.databases.sources import verdicts
from pytest_slipstream.settings import Settings


class Rooms:
    """Made before the first conftest is loaded; nothing is started by making it.

    Args:
        settings: With a database.
        rootdir: pytest's.
        owner: This process of the run.
        emit: Takes the events.
        progress: Told what takes long.
        listener: Told of the application's connections.

    Raises:
        ConfigurationError: A database is configured wrong.
    """

    def __init__(
        self,
        settings: Settings,
        rootdir: Path,
        owner: Owner,
        emit: Emit,
        progress: Progress,
        listener: Listener,
    ) -> None:
        verdicts.check(settings.every_database, rootdir)
        self._settings = settings
        self._door = Door(emit)
        self._door.listener = listener
        self._pools = Pools(self._door.ownership)
        around = Surroundings(
            rootdir=rootdir,
            cache_dir=cache_directory(settings.cache_dir, os.environ),
            owner=owner,
            emit=emit,
            progress=progress,
            pools=self._pools,
            door=self._door,
        )
        self._lanes = Lanes(settings, around)
        self._hooks = DatabaseHooks(settings, self._lanes, emit, self._pools)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the databases of all lanes that are run."""
        return tuple(database.name for database in self._lanes.databases)

    def put_up(self) -> None:
        """Notice connections from now on."""
        if self._settings.concurrency:  # also those that modules open when they are imported
            for database in self._lanes.databases:
                database.entrance.watch_use(self._door.ownership)
        self._door.put_up()

    def register(self, manager: pytest.PytestPluginManager) -> None:
        """Register hooks and fixtures."""
        manager.register(DatabaseFixtures(self._hooks.databases_of), "slipstream-fixtures")
        manager.register(async_sessions(manager), "slipstream-async-fixture")
        manager.register(self._hooks, "slipstream-databases")
        manager.register(CleanAfterTest(self._hooks), "slipstream-cleaning")
        if self._settings.lanes:
            from pytest_slipstream.databases.lanes.hooks import LaneHooks

            lanes = LaneHooks(self._settings.every_lane, self._lanes)
            manager.register(lanes, "slipstream-lanes")

    @contextmanager
    def in_flight(self, settle: Callable[[], None]) -> Iterator[Flights]:
        """Tests may be in flight together meanwhile.

        Args:
            settle: Ends what the running test has left running on the event loop.
        """
        flights = self._hooks.take_off(self._door, settle)
        try:
            with self._door.ownership.followed():
                yield flights
        finally:
            flights.close()

    def move(self, owner: Owner) -> None:
        """In a forked process: be another one's from now on."""
        self._lanes.move(owner)

    def sweep(self) -> None:
        """Drop what workers left that were lost."""
        for database in self._lanes.databases:
            database.sweep()

    def preparing_s(self) -> float:
        """Seconds spent on servers, templates and slots so far, by whichever test came first."""
        return sum(database.preparing_s for database in self._lanes.databases)

    @property
    def seconds_open(self) -> float:
        """How long the servers were held."""
        return max((database.seconds_open for database in self._lanes.databases), default=0.0)

    def close(self) -> None:
        """Drop the slots and let go of the servers: of each database, whatever another raises."""
        errors = []
        for database in self._lanes.databases:
            try:
                database.close()
            except Exception as error:  # noqa: BLE001 - each one must be closed
                errors.append(error)
        if errors:
            raise errors[0]

    def take_down(self) -> None:
        """Put drivers and environment back."""
        self._door.take_down()
        self._pools.close()
        self._lanes.close()
