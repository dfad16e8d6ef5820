"""A slot: a database made from the template, cleaned in place or made anew.

The invariant: the layers kept here are enough to make the slot again from its base, whatever
happened to the database: the base is the template, or, above a layer that changed the schema, the
copy taken when that layer was pushed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pytest_slipstream.databases.engines.postgresql.administration import Administration
from pytest_slipstream.databases.engines.postgresql.cleaner import Cleaner, Found
from pytest_slipstream.databases.engines.postgresql.sessions import SessionError
from pytest_slipstream.databases.engines.postgresql.spare import Spare
from pytest_slipstream.databases.engines.protocol import Address, Cleaning, Leftover, unlayable
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module
from pytest_slipstream.errors import IsolationError


class Layer(msgspec.Struct, frozen=True):
    """What a wider fixture wrote. ``base``: the copy of the slot, if it changed the schema."""

    number: int
    exported: str
    ddl: tuple[str, ...] = ()
    base: str | None = None


class PostgresqlSlot:
    """A slot that triggers watch.

    Args:
        address: Where it is; made by this constructor.
        template: The template's name.
        administration: Creates and drops databases, in the foreground.
        spare: The same in the background.
    """

    def __init__(
        self, address: Address, template: str, administration: Administration, spare: Spare
    ) -> None:
        self.name = address.database
        self.address = address
        self._template = template
        self._administration = administration
        self._spare = spare
        self._layers: list[Layer] = []
        self._pushed = 0
        self._set_aside = 0
        self.sessions_ended = 0
        administration.drop(self.name)
        administration.clone(template, self.name)
        self._begin([])

    def clean(self) -> Cleaning:
        """Put back what changed since the slot was last clean."""
        try:
            prepared: tuple[Leftover, ...] = ()
            if self._administration.has_prepared_transactions:
                prepared = self._cleaner.roll_back_prepared()
            found = self._cleaner.clean()
        except SessionError as error:
            what = (
                "the connection to the slot was lost" if self._cleaner.lost else "cleaning failed"
            )
            return Cleaning(cannot=f"{what}: {_first_line(error)}")
        return _cleaning(found, prepared)

    def replace(self) -> None:
        """Make the slot anew from its base and layers, under the same name."""
        base, above = self._base()
        old = self._aside("old")
        if self._vacate():
            self._administration.rename(self.name, old)
            self._spare.drop(old)
        self._renew(base, above)

    def _vacate(self) -> bool:
        """End all sessions in the slot; False when there is no such database any more.

        Slipstream's own is ended by the server too, which waits until it is gone: a rename that
        meets a session that is just ending sleeps for 100 ms.
        """
        exists = self._administration.exists(self.name)
        if exists:
            self._administration.shut(self.name)
        self._leave()
        return exists

    def _renew(self, base: str, above: list[Layer]) -> None:
        fresh = self._spare.take(base)
        if fresh is None:
            self._administration.clone(base, self.name)
        else:
            self._administration.rename(fresh, self.name)
        self._begin(above)

    def _aside(self, kind: str) -> str:
        self._set_aside += 1
        return f"{self.name}_{kind}{self._set_aside}"

    def _base(self) -> tuple[str, list[Layer]]:
        """What the slot is made from, and the layers that then go on top."""
        for index in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[index]
            if layer.base is not None:
                return layer.base, self._layers[index + 1 :]
            if layer.ddl:
                raise IsolationError(
                    f"the slot {self.name} cannot be made anew: a wider fixture changed its schema "
                    f"({layer.ddl[0]}) while connections were open, so no copy could be taken, and "
                    "now a test did what only a new copy undoes",
                    hint="make the schema in the template (`schema` in [tool.slipstream.databases"
                    ".…]), or close the fixture's connections before its first test",
                )
        return self._template, self._layers

    def _leave(self) -> None:
        """End slipstream's own session in the slot."""
        self._cleaner.close()

    def _enter(self, mark: str | None = None) -> Cleaner:
        return Cleaner(self._administration.sessions.clean_in(self.address), mark)

    def _begin(self, layers: list[Layer]) -> None:
        """Enter a slot that was just made, and lay layers on it."""
        self._cleaner = self._enter()
        for layer in layers:
            self._cleaner.import_layer(layer.exported)
        found = self._cleaner.clean()
        if found.cannot is not None:
            raise IsolationError(
                f"the layers of slot {self.name} cannot be laid on a new copy: {found.cannot}"
            )

    def prepare(self) -> None:
        """Have a copy of the base made in the background."""
        if all(layer.base is not None or not layer.ddl for layer in self._layers):
            self._spare.prepare(self._base()[0])

    def touched(self) -> tuple[str, ...]:
        """Tables with committed writes since the slot was last clean, as ``schema.table``."""
        return self._cleaner.touched()

    def push_layer(self) -> tuple[str, ...]:
        """Take what was committed since the slot was clean as a layer."""
        self._pushed += 1
        number = self._pushed
        found = self._cleaner.push_layer(number)
        if not found.tables and not found.ddl:
            return ()
        if found.ddl:
            layer = Layer(number, "", found.ddl, self._copy())
        else:
            layer = Layer(number, self._cleaner.export_layer(number))
        self._layers.append(layer)
        return found.tables + found.ddl

    def _copy(self) -> str | None:
        """A copy of the slot as it is; None while a session is in a transaction.

        Sessions that are idle are ended: most are a pool's, and a copy can be made of a database
        without sessions only.
        """
        if not self._administration.is_idle(self.name):
            return None
        self.sessions_ended += 1
        mark = self._cleaner.mark
        name = self._aside("layer")
        self._vacate()
        try:
            self._administration.clone(self.name, name)
        finally:
            self._administration.reopen(self.name)
            self._cleaner = self._enter(mark)
        return name

    def pop_layer(self, depth: int = 0) -> Cleaning:
        """Remove a layer and put back what it held."""
        layer = self._layers.pop(len(self._layers) - 1 - depth)
        if layer.base is not None:
            self._spare.discard()
            self._spare.drop(layer.base)
        if layer.ddl:
            return Cleaning(
                ddl=layer.ddl, cannot=f"the layer had changed the schema: {layer.ddl[0]}"
            )
        try:
            self._cleaner.pop_layer(layer.number)
            at = len(self._layers) - depth
            for index in range(at, len(self._layers)):
                above = self._layers[index]
                exported = "" if above.ddl else self._cleaner.export_layer(above.number)
                self._layers[index] = msgspec.structs.replace(above, exported=exported)
        except SessionError as error:
            return Cleaning(cannot=f"taking a layer out failed: {_first_line(error)}")
        cleaning = self.clean()
        for index in range(at, len(self._layers)):
            self._rebase(index)
        return cleaning

    def _rebase(self, index: int) -> None:
        """The copy of a layer holds what was taken from under it: the topmost is copied again.

        One that other layers lie on cannot be; a `replace` that needs it then says so.
        """
        layer = self._layers[index]
        if layer.base is None:
            return
        self._spare.discard()
        self._spare.drop(layer.base)
        copy = self._copy() if index == len(self._layers) - 1 else None
        self._layers[index] = msgspec.structs.replace(layer, base=copy)

    @property
    def layers(self) -> list[Layer]:
        """What lies on the template."""
        return self._layers

    def lay(self, layers: Sequence[Layer]) -> None:
        """Import another slot's layers in place of those that lie here."""
        if any(layer.ddl for layer in layers):
            raise unlayable(self.name)
        try:
            for layer in reversed(self._layers):
                self._cleaner.pop_layer(layer.number)
            for layer in layers:
                self._cleaner.import_layer(layer.exported)
            cannot = self.clean().cannot
        except SessionError as error:
            cannot = _first_line(error)
        self._layers = list(layers)
        if cannot is not None:
            raise IsolationError(f"what wider fixtures wrote cannot reach {self.name}: {cannot}")

    def digest(self) -> dict[str, str]:
        """The whole content, independent of how cleaning works."""
        psycopg_module()
        from pytest_slipstream.databases.engines.postgresql import content

        return content.digest(self.address)

    def keep(self, name: str) -> Address:
        """Set the database aside under ``name`` as it stands and make the slot anew."""
        base, above = self._base()
        self._vacate()
        self._administration.rename(self.name, name)
        self._administration.reopen(name)
        self._renew(base, above)
        return msgspec.structs.replace(self.address, database=name)

    def close(self) -> None:
        """Drop the slot and what was prepared for it."""
        if self._administration.superuser:
            # DROP DATABASE sleeps for 100 ms when it meets a session that is just ending.
            self._administration.end_sessions(self.name)
        self._leave()
        for layer in self._layers:
            if layer.base is not None:
                self._spare.drop(layer.base)
        if self._spare.is_used:
            self._spare.drop(self.name)
        else:  # without a connection more
            self._administration.drop(self.name)
        self._spare.close()


def _cleaning(found: Found, prepared: tuple[Leftover, ...]) -> Cleaning:
    return Cleaning(
        tables=found.tables,
        ddl=found.ddl,
        leftovers=(*prepared, *found.leftovers),
        restored=bool(found.tables or found.ddl),
        cannot=found.cannot,
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
