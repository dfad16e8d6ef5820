"""A slot: a database made from the template, cleaned in place or made anew.

The invariant: for every table the slot knows an image, the database where its clean rows lie: the
topmost layer that holds the table, or the template. That is enough to put a table back, and to make
the slot again whatever happened to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import pymysql

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.mysql import (
    blueprint,
    content,
    copying,
    leftovers,
    restoring,
    sessions,
)
from pytest_slipstream.databases.engines.mysql.administration import Administration
from pytest_slipstream.databases.engines.mysql.blueprint import Blueprint
from pytest_slipstream.databases.engines.mysql.copying import Image
from pytest_slipstream.databases.engines.mysql.leftovers import Transaction
from pytest_slipstream.databases.engines.mysql.sessions import Session
from pytest_slipstream.databases.engines.mysql.watch import Reading, Watch
from pytest_slipstream.databases.engines.protocol import Address, Cleaning, Leftover

T = TypeVar("T")
_LOCK_PATIENCE_S = 0.3


class Base(msgspec.Struct, frozen=True):
    """A database as it was at one moment: how it is defined, and where each table's rows lie."""

    blueprint: Blueprint
    images: Mapping[str, Image]


class Layer(msgspec.Struct, frozen=True):
    """What a wider fixture wrote. ``blueprint``: of the whole slot, if it changed the schema."""

    database: str
    images: Mapping[str, Image]
    blueprint: Blueprint | None = None


class MysqlSlot:
    """A slot that the server's counters watch.

    Args:
        address: Where it is; made by this constructor.
        template: What it is made from.
        schema: What stands before a table's name in messages.
        administration: Creates and drops databases.
        data: The server's data directory, where this process may read it.
    """

    def __init__(
        self,
        address: Address,
        template: Base,
        schema: str,
        administration: Administration,
        data: Path | None,
    ) -> None:
        self.name = address.database
        self.address = address
        self.sessions_ended = 0
        self._template = template
        self._schema = schema
        self._administration = administration
        self._data = data
        self._layers: list[Layer] = []
        self._pushed = 0
        self._kept: tuple[Transaction, ...] = ()
        self._session = Session(address)
        self._make()

    # What the slot is when it is clean

    def _base(self) -> Base:
        found = self._template
        for layer in self._layers:
            changed = layer.blueprint or found.blueprint
            images = {**found.images, **layer.images}
            found = Base(changed, {name: images[name] for name in changed.tables})
        return found

    def _make(self) -> None:
        """Make the database; nothing may be there under its name but what this drops."""
        base = self._base()
        self._unhindered(lambda: self._administration.drop(self.name))
        copying.make(self._session, self.name, base.blueprint, base.images)
        self._begin(base)

    def _begin(self, base: Base) -> None:
        self._clean_base = base
        self._watch = Watch(self._session, self.name, self._data)
        self._begin_watching()

    def _settle(self, reading: Reading) -> None:
        """The slot is clean, and this is what the counters say then."""
        self._clean = reading
        self._kept = reading.transactions

    def _begin_watching(self) -> None:
        self._ids = self._watch.ids()
        self._settle(self._watch.look())

    # Cleaning

    def clean(self) -> Cleaning:
        """Put back what changed since the slot was last clean."""
        try:
            return self._cleaned()
        except pymysql.err.MySQLError as error:
            lost = sessions.is_lost(error)
            what = "the connection to the server was lost" if lost else "cleaning failed"
            return Cleaning(cannot=f"{what}: {sessions.text(error)}")

    def _cleaned(self) -> Cleaning:
        ended, reading = self._quiet()
        ddl, truncated = self._redefined(reading)
        if ddl:
            return Cleaning(
                ddl=ddl, leftovers=ended, cannot=f"the schema was changed: {', '.join(ddl[:3])}"
            )
        written, dirty = self._dirty(reading, truncated)
        moved = reading.moved_since(self._clean)
        tables = self._clean_base.blueprint.tables
        problem = next(filter(None, (restoring.obstacle(tables[name]) for name in dirty)), None)
        if problem:
            return Cleaning(tables=self._shown(written), leftovers=ended, cannot=problem)
        if dirty or moved:
            ended += self._put_back(reading, dirty, moved)
        return Cleaning(tables=self._shown(written), leftovers=ended)

    def _quiet(self) -> tuple[tuple[Leftover, ...], Reading]:
        """A reading at a moment when no transaction of the test's is open."""
        reading = self._watch.look()
        if {one.key for one in reading.transactions} <= {one.key for one in self._kept}:
            return (), reading
        ended = leftovers.end(self._session, self.name, self._kept)
        return ended, self._watch.look()

    def _redefined(self, reading: Reading) -> tuple[tuple[str, ...], set[str]]:
        """What is defined otherwise than in the base, and the tables that were truncated.

        The signature only says that something may be.
        """
        before = self._clean
        if (reading.signature, reading.routines) == (before.signature, before.routines):
            return (), set()
        now, _ = blueprint.read(self._session, self.name)
        ids = self._watch.ids()
        files = {name for name in ids.keys() | self._ids if ids.get(name) != self._ids.get(name)}
        base = self._clean_base.blueprint
        return base.differences(now), self._watch.tables_of(files, list(base.tables))

    def _dirty(self, reading: Reading, truncated: set[str]) -> tuple[set[str], set[str]]:
        """The tables that were written to, and those that may have been as well."""
        base = self._clean_base.blueprint
        written = truncated | (reading.changed_since(self._clean) & base.tables.keys())
        if {one.key for one in self._kept} - {one.key for one in reading.transactions}:
            # What a transaction wrote before the last reading may have been committed after it.
            return written, set(base.tables)
        return written, base.reached(written)

    def _put_back(self, reading: Reading, dirty: set[str], moved: set[str]) -> tuple[Leftover, ...]:
        base = self._clean_base
        plain: list[tuple[str, str]] = []
        special: list[str] = []
        for name in sorted(dirty | moved):
            statements = restoring.restored(
                base.blueprint.tables[name],
                self.name,
                base.images[name],
                base.blueprint.triggers(name),
                moved=name in moved,
            )
            if all(text.startswith(("DELETE", "INSERT", "ALTER TABLE")) for text in statements):
                plain += [(name, text) for text in statements]
            else:
                special += [*statements, *blueprint.BACK_TO_NEUTRAL]
        counts, ended = self._unhindered(
            lambda: self._session.run([*(text for _, text in plain), *special])
        )
        if special or ended:
            self._begin_watching()
            return ended
        written = dict(reading.written)
        for (name, _), count in zip(plain, counts, strict=True):
            written[name] = written.get(name, 0) + count
        positions = {**reading.positions, **{name: self._clean.positions[name] for name in moved}}
        self._settle(
            msgspec.structs.replace(
                reading,
                written=written,
                positions=positions,
                signature=self._watch.signature() if moved else reading.signature,
            )
        )
        return ended

    def _unhindered(self, act: Callable[[], T]) -> tuple[T, tuple[Leftover, ...]]:
        """Do what needs locks; end the sessions in the slot that hold them for long."""
        start = clock.seconds()
        ended: tuple[Leftover, ...] = ()
        while True:
            try:
                return act(), ended
            except pymysql.err.MySQLError as error:
                if not sessions.is_locked(error) or ended:
                    raise
            if clock.seconds() - start > _LOCK_PATIENCE_S:
                found = leftovers.sessions_in(self._session, self.name)
                ended = leftovers.kill(
                    self._session,
                    found,
                    "lock",
                    lambda: leftovers.sessions_in(self._session, self.name),
                )
            self._session.rows("SELECT sleep(0.005)")

    def touched(self) -> tuple[str, ...]:
        """Tables with writes since the slot was last clean, as ``schema.table``."""
        reading = self._watch.look()
        return self._shown(self._dirty(reading, self._redefined(reading)[1])[0])

    def _shown(self, tables: set[str]) -> tuple[str, ...]:
        return tuple(f"{self._schema}.{name}" for name in sorted(tables))

    # Making it anew

    def replace(self) -> None:
        """Make the slot anew from its base, under the same name."""
        self._session.close()
        self._administration.execute("SELECT 1")  # revives a dead server
        self._session = Session(self.address)
        leftovers.end(self._session, self.name, ())
        self._make()

    def prepare(self) -> None:
        """Nothing: MySQL renames no database, so none can be made ahead."""

    def keep(self, name: str) -> Address:
        """Copy the database under ``name`` as it stands, and make the slot anew."""
        now, positions = blueprint.read(self._session, self.name)
        images = copying.images_of(self._session, self.name, now, positions)
        copying.make(self._session, name, now, images)
        self.replace()
        return msgspec.structs.replace(self.address, database=name)

    # Layers

    def push_layer(self) -> tuple[str, ...]:
        """Take what was committed since the slot was clean as a layer."""
        reading = self._watch.look()
        ddl, truncated = self._redefined(reading)
        written, dirty = self._dirty(reading, truncated)
        if not written and not ddl:
            return ()
        self._pushed += 1
        name = f"{self.name}_layer{self._pushed}"
        layer = self._whole(name) if ddl else self._part(name, dirty, reading.positions)
        self._layers.append(layer)
        self._begin(self._base())
        return self._shown(written) + ddl

    def _whole(self, name: str) -> Layer:
        now, positions = blueprint.read(self._session, self.name)
        images = copying.images_of(self._session, self.name, now, positions)
        copying.make(self._session, name, now, images)
        return Layer(
            name,
            {
                table: msgspec.structs.replace(image, database=image.database and name)
                for table, image in images.items()
            },
            now,
        )

    def _part(self, name: str, tables: set[str], positions: Mapping[str, int]) -> Layer:
        known = self._clean_base.blueprint.tables
        self._administration.create_empty(name)
        stored = [known[table] for table in sorted(tables) if known[table].kind != "sequence"]
        self._session.run(
            text for table in stored for text in restoring.image_made(table, self.name, name)
        )
        images = {table.name: Image(name, positions.get(table.name, 0)) for table in stored}
        for table in tables - images.keys():
            query = f"SELECT next_not_cached_value FROM {sessions.quoted(self.name, table)}"
            images[table] = Image(None, int(self._session.rows(query)[0][0]))
        return Layer(name, images)

    def pop_layer(self, depth: int = 0) -> Cleaning:
        """Remove a layer and put back what it held."""
        at = len(self._layers) - 1 - depth
        layer = self._layers[at]
        above = self._layers[at + 1 :]
        if depth and layer.blueprint is None:
            below = self._template.images
            for lower in self._layers[:at]:
                below = {**below, **lower.images}
            self._take_out(layer, above, below)
        del self._layers[at]
        if layer.blueprint is not None or any(one.blueprint for one in above):
            self._administration.drop(layer.database)
            return Cleaning(cannot="a layer had changed the schema")
        cleaning = self._cleaned_of(layer)
        self._administration.drop(layer.database)
        return cleaning

    def _take_out(self, layer: Layer, above: list[Layer], below: Mapping[str, Image]) -> None:
        tables = self._clean_base.blueprint.tables
        for one in above:
            for name in sorted(layer.images.keys() & one.images.keys()):
                lower, upper = layer.images[name].database, one.images[name].database
                if lower is not None and upper is not None:
                    self._session.run(
                        restoring.taken_out(tables[name], upper, lower, below[name].database)
                    )

    def _cleaned_of(self, layer: Layer) -> Cleaning:
        """Clean as if the test had written to all tables of a layer that is gone."""
        base = self._base()
        try:
            ended, reading = self._quiet()
            ddl, truncated = self._redefined(reading)
            if ddl:
                return Cleaning(
                    ddl=ddl, leftovers=ended, cannot=f"the schema was changed: {ddl[0]}"
                )
            _, dirty = self._dirty(reading, truncated)
            dirty |= layer.images.keys()
            self._clean_base = base
            moved = {
                name
                for name in base.images
                if name in reading.positions
                and reading.positions[name] != base.images[name].position
            }
            ended += self._put_back(reading, dirty, moved)
        except pymysql.err.MySQLError as error:
            return Cleaning(cannot=f"taking a layer out failed: {sessions.text(error)}")
        return Cleaning(tables=self._shown(set(layer.images)), leftovers=ended)

    def digest(self) -> dict[str, str]:
        """The whole content, independent of how cleaning works."""
        return content.digest(self.address)

    def close(self) -> None:
        """Drop the slot and its layers."""
        leftovers.end(self._session, self.name, ())
        self._unhindered(lambda: self._administration.drop(self.name))
        for layer in self._layers:
            self._administration.drop(layer.database)
        self._session.close()
