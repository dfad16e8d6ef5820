"""A slot: a database made from the template, cleaned in place or made anew.

The invariant: for every table the slot knows an image, the database where its clean rows lie: the
topmost layer that holds the table, or the template. That is enough to put a table back, and to make
the slot again whatever happened to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import msgspec
import pymysql

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.mysql import (
    blueprint,
    content,
    copying,
    layers,
    leftovers,
    restoring,
    sessions,
)
from pytest_slipstream.databases.engines.mysql.administration import Administration
from pytest_slipstream.databases.engines.mysql.layers import Base, Layer
from pytest_slipstream.databases.engines.mysql.leftovers import Transaction
from pytest_slipstream.databases.engines.mysql.sessions import Session
from pytest_slipstream.databases.engines.mysql.watch import Reading, Sight, Watch
from pytest_slipstream.databases.engines.protocol import Address, Cleaning, Leftover, unlayable
from pytest_slipstream.errors import IsolationError

T = TypeVar("T")
_LOCK_PATIENCE_S = 0.3
_MAKING_PATIENCE_S = 10.0


class MysqlSlot:
    """A slot that the server's counters watch.

    Args:
        address: Where it is; made by this constructor.
        template: What it is made from.
        schema: What stands before a table's name in messages.
        administration: Creates and drops databases.
        sight: What there is to see the slot by.
    """

    def __init__(
        self,
        address: Address,
        template: Base,
        schema: str,
        administration: Administration,
        sight: Sight,
    ) -> None:
        self.name = address.database
        self.address = address
        self.sessions_ended = 0
        self._template = template
        self._schema = schema
        self._administration = administration
        self._sight = sight
        self._layers: list[Layer] = []
        self._pushed = 0
        self._borrows = False
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

        def copied() -> None:
            self._drop()
            copying.make(self._session, self.name, base.blueprint, base.images)

        # The end of a session lasts a moment, in which its locks may meet a table of the same name;
        # on a busy server a long one, and the server's own statistics have locks too.
        self._unhindered(copied, ending=False, patience_s=_MAKING_PATIENCE_S)
        self._begin(base)

    def _drop(self) -> None:
        rights = self._sight.rights
        if rights.unseen is None:
            leftovers.end(self._session, self.name, rights.question, ())
        statement = f"DROP DATABASE IF EXISTS {sessions.quoted(self.name)}"
        try:
            self._unhindered(lambda: self._session.run([statement]))
        except pymysql.err.MySQLError as error:
            if not sessions.is_locked(error):
                raise
            raise IsolationError(
                f"the slot {self.name} cannot be made anew: a session in another database holds a "
                f"lock in it ({sessions.text(error)})",
                hint="end that session's transaction in the test, or connect it to the slot",
            ) from error

    def _begin(self, base: Base) -> None:
        self._clean_base = base
        self._watch = Watch(self._session, self.name, self._sight)
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
        return self._attempt(self._cleaned)

    def _attempt(self, act: Callable[[], Cleaning]) -> Cleaning:
        try:
            return act()
        except pymysql.err.MySQLError as error:
            lost = sessions.is_lost(error)
            what = "the connection to the server was lost" if lost else "cleaning failed"
            return Cleaning(cannot=f"{what}: {sessions.text(error)}")

    def _cleaned(self, also: Collection[str] = ()) -> Cleaning:
        """Put back what changed, and ``also`` the tables of a layer that is gone."""
        ended, reading = self._quiet()
        ddl, truncated = self._redefined(reading)
        if ddl:
            return Cleaning(
                ddl=ddl, leftovers=ended, cannot=f"the schema was changed: {', '.join(ddl[:3])}"
            )
        base = self._clean_base
        written, dirty = self._dirty(reading, truncated)
        dirty |= set(also)
        tables = self._shown(written)
        found = (restoring.obstacle(base.blueprint.tables[name]) for name in sorted(dirty))
        problem = next(filter(None, found), None)
        if problem:
            return Cleaning(tables=tables, leftovers=ended, cannot=problem)
        moved = reading.moved_from(base.positions)
        moved |= reading.hidden_since(self._clean) & base.positions.keys()
        if not dirty and not moved:
            self._settle(reading)  # others may have defined something
            return Cleaning(leftovers=ended)
        differed, more = self._put_back(reading, dirty, moved)
        rolls_back = all(base.blueprint.tables[name].is_transactional for name in written)
        return Cleaning(tables=tables, leftovers=ended + more, restored=differed or not rolls_back)

    def _quiet(self) -> tuple[tuple[Leftover, ...], Reading]:
        """A reading at a moment when no transaction of the test's is open."""
        reading = self._watch.look()
        if {one.key for one in reading.transactions} <= {one.key for one in self._kept}:
            return (), reading
        ended = leftovers.end(self._session, self.name, self._sight.rights.question, self._kept)
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

    def _put_back(
        self, reading: Reading, dirty: set[str], moved: set[str]
    ) -> tuple[bool, tuple[Leftover, ...]]:
        """Whether rows differed (what was rolled back is counted as written, too); what ended."""
        base = self._clean_base
        dirty -= self._unchanged(dirty)
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
        differed = any(counts)
        if special or ended or not self._sight.rights.counts:
            self._begin_watching()
            return differed, ended
        done = [(name, text, count) for (name, text), count in zip(plain, counts, strict=True)]
        positions = {name: base.images[name].position for name in moved}
        signature = reading.signature
        if moved:
            signature = self._watch.signature_after(signature, moved)
        self._settle(reading.after(done, positions, signature))
        return differed, ended

    def _unchanged(self, tables: set[str]) -> set[str]:
        """Tables without a primary key that are as they were: writes that were rolled back count.

        The others' rows are compared by the statements that put them back.
        """
        base = self._clean_base
        known = [base.blueprint.tables[name] for name in tables]
        compared = [
            (table.name, source)
            for table in known
            if table.is_transactional and not table.key
            if (source := base.images[table.name].database) is not None
        ]
        found = self._session.results(
            restoring.differs(base.blueprint.tables[name], self.name, source)
            for name, source in compared
        )
        return {
            name for (name, _), (_, rows) in zip(compared, found, strict=True) if not rows[0][0]
        }

    def _unhindered(
        self,
        act: Callable[[], T],
        *,
        ending: bool = True,
        patience_s: float = _LOCK_PATIENCE_S,
    ) -> tuple[T, tuple[Leftover, ...]]:
        """Do what needs locks; end the sessions in the slot that hold them for long.

        Args:
            act: What to do; more than once, if need be.
            ending: Whether sessions may be ended; if not, the error is raised.
            patience_s: How long locks are waited for before either.
        """
        start, may_end = clock.seconds(), ending
        ended: tuple[Leftover, ...] = ()
        while True:
            try:
                return act(), ended
            except pymysql.err.MySQLError as error:
                late = clock.seconds() - start > patience_s
                if not sessions.is_locked(error) or (late and not may_end):
                    raise
            if late:
                ended = leftovers.end_holders(self._session, self.name)
                start, may_end = clock.seconds(), False
            self._session.rows("SELECT sleep(0.001)")

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
        self._make()

    def prepare(self) -> None:
        """Nothing: MySQL renames no database, so none can be made ahead."""

    def keep(self, name: str) -> Address:
        """Copy the database under ``name`` as it stands, and make the slot anew."""
        copying.copy(self._session, self.name, name)
        self.replace()
        return msgspec.structs.replace(self.address, database=name)

    # Layers

    def push_layer(self) -> tuple[str, ...]:
        """Take what was committed since the slot was clean as a layer."""
        reading = self._watch.look()
        ddl, truncated = self._redefined(reading)
        written, dirty = self._dirty(reading, truncated)
        if not ddl:
            self._move_back(reading, dirty)
        if not written and not ddl:
            return ()
        self._pushed += 1
        name = f"{self.name}_layer{self._pushed}"
        if ddl:
            layer = layers.of_all(self._session, self.name, name)
        else:
            self._administration.create_empty(name)
            tables = self._clean_base.blueprint.tables
            written_to = [tables[table] for table in sorted(dirty)]
            layer = layers.of(self._session, self.name, name, written_to, reading.positions)
        self._layers.append(layer)
        self._begin(self._base())
        return self._shown(written) + ddl

    def _move_back(self, reading: Reading, dirty: set[str]) -> None:
        """An insert that failed may have taken a number of a table that no layer will hold."""
        base = self._clean_base
        moved = (reading.moved_from(base.positions) - dirty) | (
            reading.hidden_since(self._clean) & base.positions.keys()
        )
        statements = [
            copying.positioned(
                table,
                self.name,
                (reading if table.name in dirty else base).positions.get(table.name, 1),
            )
            for table in base.blueprint.tables.values()
            if table.name in moved
        ]
        try:
            self._unhindered(lambda: self._session.run(statements), ending=False)
        except pymysql.err.MySQLError as error:
            if not sessions.is_locked(error):
                raise
            return  # A fixture's open transaction is in the way; cleaning will see to it.
        if moved:
            self._settle(self._watch.look())

    def pop_layer(self, depth: int = 0) -> Cleaning:
        """Remove a layer and put back what it held."""
        at = len(self._layers) - 1 - depth
        layer = self._layers.pop(at)
        above = self._layers[at:]
        try:
            if layer.blueprint is not None or any(one.blueprint for one in above):
                return Cleaning(cannot="a layer had changed the schema")
            return self._attempt(lambda: self._popped(layer, at))
        finally:
            self._administration.drop(layer.database)

    def _popped(self, layer: Layer, at: int) -> Cleaning:
        below = self._template.images
        for lower in self._layers[:at]:
            below = {**below, **lower.images}
        tables = self._clean_base.blueprint.tables
        layers.take_out(self._session, layer, self._layers[at:], below, tables)
        self._clean_base = self._base()
        return self._cleaned(also=layer.images.keys())

    @property
    def layers(self) -> list[Layer]:
        """What lies on the template."""
        return self._layers

    def lay(self, layers: Sequence[Layer]) -> None:
        """Take rows from another slot's layers from now on."""
        if any(layer.blueprint is not None for layer in layers):
            raise unlayable(self.name)
        differing = {name for layer in (*self._layers, *layers) for name in layer.images}
        self._borrows = True
        self._layers = list(layers)
        self._clean_base = self._base()
        cannot = self._attempt(lambda: self._cleaned(also=differing)).cannot
        if cannot is not None:
            raise IsolationError(f"what wider fixtures wrote cannot reach {self.name}: {cannot}")

    def digest(self) -> dict[str, str]:
        """The whole content, independent of how cleaning works."""
        return content.digest(self.address)

    def close(self) -> None:
        """Drop the slot and its layers."""
        self._drop()
        for layer in () if self._borrows else self._layers:
            self._administration.drop(layer.database)
        self._session.close()
