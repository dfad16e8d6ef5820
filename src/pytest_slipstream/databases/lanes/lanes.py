"""The lanes of this process, and the one that the running test is on.

The invariant: one lane is entered at any time. Its variables are in the environment, its databases
are what tests and fixtures get, the application's SQLAlchemy engines reach them, and no new
connection reaches another lane's.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_slipstream.databases.database import Database, Surroundings
from pytest_slipstream.databases.engines.protocol import Owner
from pytest_slipstream.databases.lanes.choice import by_markers, by_path
from pytest_slipstream.databases.lanes.lane import Lane
from pytest_slipstream.databases.servers.room import with_room
from pytest_slipstream.errors import ConfigurationError, IsolationError
from pytest_slipstream.settings import Settings

if TYPE_CHECKING:
    from pytest_slipstream.databases.lanes.sqlalchemy_engines import SQLAlchemyEngines

_CANDIDATES = pytest.StashKey[tuple[str, ...]]()


class Lanes:
    """The lanes whose tests are run; the first of them is entered at once.

    Args:
        settings: With at least one database.
        around: What all databases share.
    """

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings.every_lane
        self._lanes = {
            name: Lane(
                name,
                {
                    key: Database(
                        key,
                        with_room(database, settings.concurrency),
                        around,
                        name if name in settings.lanes else "",
                    )
                    for key, database in lane.databases.items()
                },
            )
            for name, lane in settings.lanes_to_run.items()
        }
        self.databases = tuple(
            one for lane in self._lanes.values() for one in lane.databases.values()
        )
        """The databases of all lanes that are run."""
        self.current = next(iter(self._lanes.values()))
        self._engines: SQLAlchemyEngines | None = None
        self._set_up()

    @property
    def names(self) -> tuple[str, ...]:
        """The lanes whose tests are run, in the order in which they are."""
        return tuple(self._lanes)

    def of(self, item: pytest.Item) -> str:
        """The lane that a test is on."""
        return self._candidates(item)[0]

    def databases_of(self, item: pytest.Item) -> Mapping[str, Database]:
        """The databases of a test's lane; none if that lane is not run."""
        lane = self._lanes.get(self.of(item))
        return lane.databases if lane is not None else {}

    def check(self, item: pytest.Item) -> None:
        """Refuse a test that is on two lanes.

        Raises:
            ConfigurationError: Its markers, or the patterns that its file matches, name both.
        """
        found = self._candidates(item)
        if len(found) > 1:
            markers = ", ".join(f"@pytest.mark.{self._settings[name].marker}" for name in found)
            raise ConfigurationError(
                f"{item.nodeid} is on the lanes {' and '.join(found)}, and can be on one only",
                hint=f"mark it with one of {markers}",
            )

    def _candidates(self, item: pytest.Item) -> tuple[str, ...]:
        if _CANDIDATES not in item.stash:
            nearest_first = reversed(item.listchain())
            levels = [[mark.name for mark in node.own_markers] for node in nearest_first]
            default = next(iter(self._settings))
            item.stash[_CANDIDATES] = by_markers(levels, self._settings) or (default,)
        return item.stash[_CANDIDATES]

    def by_path(self, item: pytest.Item) -> tuple[str, ...]:
        """The lanes that a test is on by the patterns that its file matches."""
        return by_path(item.nodeid.partition("::")[0], self._settings)

    def enter(self, name: str) -> None:
        """From here on, ``name`` is the lane that everything is on.

        Raises:
            ConfigurationError: An engine of the application cannot reach it; nothing has changed.
            IsolationError: What the tests of the last lane left could not be cleaned.
        """
        self._watch()
        if name == self.current.name:
            return
        from pytest_slipstream.databases.lanes import peewee_databases

        for database in self.current.databases.values():
            if database.is_open and database.unclean:
                database.clean("", "reset")
        if self._engines is not None:
            try:
                self._engines.enter(self._lanes[name])
            except ConfigurationError:
                self._engines.enter(self.current)
                raise
        peewee_databases.close(self.databases)
        self.current.variables.restore()
        self.current = self._lanes[name]
        self._set_up()

    def move(self, owner: Owner) -> None:
        """In a forked process: have slots of its own, to which the environment leads."""
        self.current.variables.restore()
        for lane in self._lanes.values():
            lane.move(owner)
        self.current.variables.set()

    def _set_up(self) -> None:
        self.current.variables.set()
        for lane in self._lanes.values():
            for database in lane.databases.values():
                refusal = partial(self._refusal, lane, database)
                database.entrance.refusal = None if lane is self.current else refusal

    def _refusal(self, lane: Lane, database: Database) -> IsolationError:
        return IsolationError(
            f"a connection to the database {database.key!r} of the lane {lane.name!r} is refused, "
            f"because the lane {self.current.name!r} is entered: the URL was read on another lane",
            hint="read the URL where the connection is made; with Peewee, initialise a "
            f"DatabaseProxy in a fixture; or run the lane alone: --lane {self.current.name}",
        )

    def check_others(self, node_id: str) -> None:
        """Find out whether a test wrote into another lane's database by a connection kept open.

        Raises:
            IsolationError: It did; that database is clean again.
        """
        others = [database for database in self.databases if database.entrance.refusal is not None]
        for database in others:
            if database.is_open and (tables := database.slot.touched()):
                database.clean("", "reset")
                raise IsolationError(
                    f"{node_id} is on the lane {self.current.name!r}, and wrote into the database "
                    f"{database.name!r} of another lane: {', '.join(tables)}",
                    hint="close the connection, or the pool, that was opened on the other lane; or "
                    f"run the lane alone: --lane {self.current.name}",
                )

    def _watch(self) -> None:
        """Follow the engines, where there is a choice, once the application imported SQLAlchemy."""
        if self._engines is None and len(self._lanes) > 1 and "sqlalchemy.pool" in sys.modules:
            from pytest_slipstream.databases.lanes.sqlalchemy_engines import SQLAlchemyEngines

            self._engines = SQLAlchemyEngines(self._lanes, self.current)

    def close(self) -> None:
        """Put environment and engines back."""
        if self._engines is not None:
            self._engines.close()
            self._engines = None
        self.current.variables.restore()
