"""One configured database in this process: its engine, its template and its slot.

The invariant: between tests the slot is clean, or is known not to be (`Database.unclean`) and is
cleaned before the next test that needs it clean.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import msgspec

from pytest_slipstream import events
from pytest_slipstream.clock import clock
from pytest_slipstream.databases import engines, naming, templates
from pytest_slipstream.databases.engines.protocol import (
    Address,
    Cleaning,
    Owner,
    Progress,
    Slot,
)
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.joining import Ended
from pytest_slipstream.databases.routing.pools import Pools
from pytest_slipstream.errors import IsolationError
from pytest_slipstream.settings import DatabaseSettings

Emit = Callable[[events.Event], None]


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What all databases of a process share."""

    rootdir: Path
    cache_dir: Path
    owner: Owner
    emit: Emit
    progress: Progress
    pools: Pools
    door: Door


class Database:
    """A configured database; nothing is started before `open`.

    Args:
        key: Its key in the configuration.
        settings: Its table in the configuration.
        around: What it shares with the others.
        lane: The lane that it is of, if not of the default lane.
    """

    def __init__(
        self, key: str, settings: DatabaseSettings, around: Surroundings, lane: str = ""
    ) -> None:
        self.key = key
        self.name = f"{lane}.{key}" if lane else key
        self.settings = settings
        self.around = around
        self._lane = lane
        self._be_owned(around.owner)
        self.entrance = around.door.add(self.name, self.address)
        self.joining = self.entrance.joining
        self.joining.possible = settings.isolation == "rollback"
        if settings.strict:
            from pytest_slipstream.databases.engines.sqlite.connections import StrictConnections

            strict = StrictConnections(settings.stands_for)
            self.entrance.on_connect(strict.opened)
            self.entrance.connection_class = strict.connection_class
        self.seconds_open = 0.0
        self.preparing_s = 0.0
        self._slot: Slot | None = None
        self._template = ""
        self._opened_at: float | None = None
        self.unclean = False
        self.home = self
        """The database whose slot the configuration's URL names; see `beside`."""
        self._kept = False
        self._layers_made = 0
        self.layers: tuple[int, ...] = ()
        self._fallback: dict[str, str] = {}

    def _be_owned(self, owner: Owner) -> None:
        if self._lane:  # an owner of its own: names and locks of slots are made from it
            owner = msgspec.structs.replace(owner, worker=f"{owner.worker}.{self._lane}")
        self.engine = engines.load(
            self.key, self.settings, cache_dir=self.around.cache_dir, owner=owner
        )
        self.slot_name = naming.slot_name(owner.testrun_uid, owner.worker, self.key)
        self.address: Address = self.engine.address(self.slot_name)

    def move(self, owner: Owner) -> None:
        """In a forked process: have a slot of its own. Before `open`."""
        assert self._opened_at is None, "a slot and its connections cannot be shared"
        self._be_owned(owner)
        self.entrance.move(self.address)

    def sweep(self) -> None:
        """Drop what dead processes left on the server."""
        self.engine.open(lambda message: None)
        self.engine.close()

    @property
    def is_open(self) -> bool:
        """Whether there is a slot."""
        return self._slot is not None

    @property
    def slot(self) -> Slot:
        """The slot of this process; made on first use."""
        if self._slot is None:
            self.open()
        assert self._slot is not None
        return self._slot

    def open(self) -> None:
        """Start or reach the server, get the template, make the slot."""
        emit, progress = self.around.emit, self.around.progress
        self._opened_at = clock.seconds()
        info = self.engine.open(lambda message: progress(f"{self.name}: {message}"))
        emit(
            events.ServerReady(
                database=self.name,
                engine=self.engine.name,
                server_version=info.version,
                started=info.started,
                seconds=info.seconds,
            )
        )
        self._template = templates.ready(
            self.engine,
            self.key,
            self.settings,
            info.identity,
            rootdir=self.around.rootdir,
            cache_dir=self.around.cache_dir,
            progress=lambda message: progress(f"{self.name}: {message}"),
            emit=lambda event: emit(msgspec.structs.replace(event, database=self.name)),
        )
        self._make_slot()
        self.preparing_s += clock.seconds() - self._opened_at
        progress("")

    def _make_slot(self) -> None:
        start = clock.seconds()
        self._slot = self.engine.create_slot(self.slot_name, self._template)
        seconds = clock.seconds() - start
        self.around.emit(events.SlotReady(database=self.name, slot=self.slot_name, seconds=seconds))

    def beside(self, number: int) -> Database:
        """One more slot of this database, for a test that is in flight with others.

        Args:
            number: Of the slot, from 1.

        Returns:
            A database that shares engine and template with this one, until this one is closed.
        """
        if self._slot is None:
            self.open()
        made = copy.copy(self)
        made.home = self
        made.slot_name = f"{self.slot_name.rpartition('_')[0]}_{number}"
        made.address = self.engine.address(made.slot_name)
        made.entrance = self.around.door.add_beside(self.entrance, made.address, number)
        made.joining = made.entrance.joining
        made.layers, made.unclean = (), False
        made._make_slot()
        return made

    def lay(self) -> None:
        """Have on this slot what wider fixtures wrote to the home slot; it must be clean.

        Raises:
            IsolationError: They changed the schema.
        """
        if self.layers != self.home.layers:
            self.slot.lay(self.home.slot.layers)
            self.layers = self.home.layers

    def begin(self, wanted: str, node_id: str) -> str:
        """Give the slot to a test.

        Args:
            wanted: The isolation strategy that the test asks for.
            node_id: The test's.

        Returns:
            The strategy that it gets.
        """
        slot = self.slot
        strategy = self._available(wanted)
        if strategy == "rollback" and self.joining.known_reason(node_id) is not None:
            strategy = "reset"
        if self.unclean and strategy != "none":
            self.clean("", strategy)
        if strategy == "clone":
            slot.prepare()
        return strategy

    def _available(self, wanted: str) -> str:
        if wanted not in self._fallback:
            reason = self.engine.unavailable(wanted)
            self._fallback[wanted] = wanted if reason is None else "clone"
            if reason is not None:
                self.around.emit(
                    events.StrategyChanged(
                        database=self.name, wanted=wanted, used="clone", reason=reason
                    )
                )
        return self._fallback[wanted]

    def clean(self, node_id: str, strategy: str) -> Cleaning | None:
        """Make the slot clean after a test, by its strategy; None when it was left as it is."""
        self.unclean = True  # until it is known not to be
        if strategy == "none":
            return None
        start = clock.seconds()
        for address in self.entrance.known_as:
            for detail in self.around.pools.roll_back(address.database):
                self._leftover(node_id, "transaction", detail)
        ended = self.joining.end()
        cleaning = self.slot.clean() if strategy != "clone" else Cleaning()
        if ended is not None:
            strategy = self._contained(node_id, ended, cleaning)
        if strategy == "clone" or cleaning.cannot is not None:
            self.replace()
        elif cleaning.leftovers:
            self.around.pools.discard()  # they may hold a session that was ended
        if cleaning.cannot is not None:
            self.slot.prepare()
        violation = ended.violation if ended is not None else None
        self.unclean = False
        for leftover in cleaning.leftovers:
            self._leftover(node_id, leftover.kind, leftover.detail)
        self.around.emit(
            events.TestCleaned(
                database=self.name,
                node_id=node_id,
                strategy=strategy,
                seconds=clock.seconds() - start,
                tables=cleaning.tables,
                ddl=cleaning.ddl,
                escalated=cleaning.cannot,
            )
        )
        if violation is not None:
            raise IsolationError(
                f"{node_id} committed to the database {self.name!r} what a deferred constraint "
                f"forbids: {violation}"
            )
        return cleaning

    def _contained(self, node_id: str, ended: Ended, cleaning: Cleaning) -> str:
        """By which strategy a test whose connections were joined was cleaned, after all."""
        reason = ended.reason
        if reason is None and (cleaning.ddl or cleaning.restored):
            reason = "a connection that had not joined the test's has committed"
            self.joining.note(node_id, reason)
        if ended.left_open:
            self._leftover(node_id, "transaction", "of a joined connection; rolled back")
        if reason is None:
            return "rollback"
        self.around.emit(events.Uncontained(database=self.name, node_id=node_id, reason=reason))
        return "reset"

    def replace(self) -> None:
        """Make the slot anew; connections of the application's pools follow."""
        self.joining.discard()
        try:
            self.slot.replace()
        finally:
            self.around.pools.discard()

    def _leftover(self, node_id: str, kind: str, detail: str) -> None:
        self.around.emit(
            events.LeftoverFound(database=self.name, node_id=node_id, kind=kind, detail=detail)
        )

    def push_layer(self) -> tuple[str, ...]:
        """Take what wider fixtures wrote as a layer; () when they wrote nothing."""
        if self._slot is None:
            return ()
        before = self._slot.sessions_ended
        tables = self._slot.push_layer()
        if self._slot.sessions_ended != before:
            self.joining.discard()
            self.around.pools.discard()
        if tables:
            self._layers_made += 1
            self.layers += (self._layers_made,)
        return tables

    def pop_layer(self, depth: int) -> None:
        """Undo the layer that has ``depth`` others above it."""
        at = len(self.layers) - 1 - depth
        self.layers = self.layers[:at] + self.layers[at + 1 :]
        if self.slot.pop_layer(depth).cannot is not None:
            self.replace()

    def keep(self, node_id: str, number: int) -> Address:
        """Set the slot aside as a failed test left it, and go on with a new one."""
        self.joining.end(commit=True)  # what the test wrote is what is to be seen
        self.joining.discard()
        address = self.slot.keep(naming.kept_name(self.key, node_id, number))
        self.around.pools.discard()
        self.unclean = False
        self.home._kept = True
        return address

    def close(self) -> None:
        """Drop the slot and let go of the server; safe to call at any time, more than once."""
        slot, self._slot = self._slot, None
        self.joining.discard()
        try:
            if slot is not None:
                slot.close()
        finally:
            if self.home is self and self._opened_at is not None:
                self.engine.close(keep_running=self._kept)
                self.seconds_open = clock.seconds() - self._opened_at
                self._opened_at = None
