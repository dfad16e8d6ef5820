"""What an engine and a slot are: the contract that every database product fulfils.

The invariant: after `Slot.clean` (or `Slot.replace`) the slot equals its template plus the layers
pushed on it, whatever a test did; and nothing without slipstream's prefix is ever dropped.
All calls come from one thread of one process; other threads, processes and runs use the same
server at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from pytest_slipstream.errors import IsolationError, ServerError
from pytest_slipstream.identity import Owner as Owner

Progress = Callable[[str], None]
"""Told in a few words what takes time now ("starting PostgreSQL 18.6"); shown to the user."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database is; every URL and placeholder is rendered from it (`databases.urls`).

    ``host`` is a socket directory for a server without TCP. ``socket`` is the file itself, which
    MySQL's drivers are told. ``path`` is SQLite's file (or a ``file:`` URI for one in memory).
    """

    engine: str
    database: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    socket_dir: str = ""
    socket: str = ""
    path: str = ""


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A server that can be used now. ``identity`` is all of it that a template depends on."""

    version: str
    started: bool
    seconds: float
    identity: str


class TemplateInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A published template. ``used_at`` is Unix time in seconds."""

    name: str
    database: str
    fingerprint: str
    used_at: float
    size_bytes: int = 0


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """Something a test left open, ended by `Slot.clean`. ``kind`` as in `LeftoverFound`."""

    kind: str
    detail: str


class Cleaning(msgspec.Struct, frozen=True, kw_only=True):
    """What cleaning found and did.

    ``restored`` says that something committed was put back. (``tables`` may name such as were
    written to and rolled back.)
    ``cannot`` is None when the slot is clean; otherwise it says why `Slot.clean` could not put it
    back exactly, and the caller must call `Slot.replace`.
    """

    tables: tuple[str, ...] = ()
    ddl: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    restored: bool = False
    cannot: str | None = None


class Slot(Protocol):
    """A database made from a template; one running test owns it at a time."""

    name: str
    address: Address
    sessions_ended: int
    """Grows whenever `push_layer` ends idle sessions: the caller then discards pooled ones."""

    def clean(self) -> Cleaning:
        """Put back what changed since the last `clean`, `replace` or `push_layer` (`reset`).

        After a `rollback` too: sequences move all the same, and what it finds was committed by
        somebody whom the rollback did not reach.
        """

    def replace(self) -> None:
        """Make the slot anew from the template and its layers, under the same name (`clone`).

        Open connections are ended, or see the new content; the caller discards pooled ones.
        """

    def prepare(self) -> None:
        """Expect a `replace` soon: prepare it in the background. Never needed, never waits."""

    def touched(self) -> tuple[str, ...]:
        """Tables with committed writes since the slot was last clean, as ``schema.table``."""

    def push_layer(self) -> tuple[str, ...]:
        """Take what was committed since the slot was clean as a layer.

        Returns:
            The tables that the layer holds; empty when nothing was written, and then no layer
            was pushed and `pop_layer` must not be called for it.
        """

    def pop_layer(self, depth: int = 0) -> Cleaning:
        """Remove a layer and put back what it held.

        Args:
            depth: How many layers lie above it. They stay: a session fixture that was first
                used in the second module outlives that module's own layer. Where a layer above
                holds the same table, the rows that the removed layer had changed in it, against
                what lies below, are changed back in the layers above and in the slot; save for
                those that a layer above changed too, which stay as it has them.
        """

    @property
    def layers(self) -> Sequence[Any]:
        """What lies on the template, for `lay`; valid until the slot pops or pushes a layer."""

    def lay(self, layers: Sequence[Any]) -> None:
        """Have another slot's layers, of the same template, lie on this clean one, and no others.

        They stay the other slot's: this one neither removes them, nor pushes or pops layers.

        Raises:
            IsolationError: One of them changed the schema, and can lie on its own slot only.
        """

    def digest(self) -> dict[str, str]:
        """The whole content, independent of how cleaning works: object or table to a digest.

        Rows of every table in no particular order, sequences, and the catalogue without what is
        slipstream's own. Equal dictionaries mean equal databases. Keys read well in a message.
        """

    def keep(self, name: str) -> Address:
        """Set the database aside under ``name`` as it stands and make the slot anew."""

    def close(self) -> None:
        """Drop the slot and what was prepared for it."""


class Engine(Protocol):
    """One configured database of one product in this process."""

    name: str
    max_name_length: int

    def address(self, database: str) -> Address:
        """Where ``database`` will be. Pure: before `open`, nothing is started or connected."""

    def open(self, progress: Progress) -> ServerInfo:
        """Start or reach the server, hold it for this process, sweep what dead runs left."""

    def close(self, *, keep_running: bool = False) -> None:
        """Let go of the server; an embedded one stops when its last user leaves.

        Args:
            keep_running: It does not stop, because somebody wants to look at a kept database.
        """

    def unavailable(self, isolation: str) -> str | None:
        """Why a strategy cannot be had here (a missing right, by name), or None. After `open`."""

    def connect(self, address: Address) -> Any:
        """A new DB-API connection to a database, autocommit off; for ``db`` and for seeds."""

    def run_script(self, address: Address, sql: str) -> None:
        """Run a text of SQL statements.

        Raises:
            ScriptError: with the statement, its line within ``sql`` and the server's message.
        """

    def templates(self) -> list[TemplateInfo]:
        """All published templates on the server, of every project."""

    def build_lock(self, template: str) -> AbstractContextManager[None]:
        """Hold the right to build ``template``, over processes; dies with the process."""

    def has_template(self, template: str) -> bool:
        """Whether it is published; if so, it is marked as used now."""

    def begin_build(self, template: str) -> Address:
        """An empty database to build in, under another name; a killed run's is dropped."""

    def publish(self, template: str, database: str, fingerprint: str) -> None:
        """Finish the build: add slipstream's own objects, close it to connections, rename it.

        ``database`` is the key in the configuration, as in `TemplateInfo`.
        """

    def abandon_build(self, template: str) -> None:
        """Drop the half-built database."""

    def drop_template(self, template: str) -> bool:
        """Drop a published template; False when it is in use or gone."""

    def create_slot(self, name: str, template: str) -> Slot:
        """Make a slot."""


def unmakeable(slot: str, said: str) -> ServerError:
    """Why a slot cannot be made, by what the server said."""
    return ServerError(
        f"the slot {slot} cannot be made: {said}",
        hint="where the server has no connections left: lower `concurrency`, or have the server "
        'take more; an embedded one by `server_options = { max_connections = "1000" }`',
    )


def unlayable(slot: str) -> IsolationError:
    """Why a layer cannot be laid on another slot."""
    return IsolationError(
        f"what a wider fixture made of the schema cannot reach {slot}, the slot of a test that is "
        "in flight with others",
        hint="make the schema in the template (`schema` in [tool.slipstream.databases.…]), or mark "
        "the fixture's tests with @pytest.mark.sequential",
    )


class ScriptError(Exception):
    """A statement of a script failed: ``line`` (from 1) and ``statement`` within the script."""

    def __init__(self, message: str, *, line: int, statement: str) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.statement = statement
