"""Dropping and making a schema's tables on MariaDB and MySQL by putting the drop off: the tables
are emptied, and stay until they are made again or somebody is about to look.

A name that stands before all tables, as PostgreSQL's schemas are, is not to be had here, and to
move tables to another database costs half of what dropping them does. Each statement on the schema
commits by itself, so there is nothing that could be rolled back. The invariant: tables come back
only if nobody has changed a definition since they were made, and they come back as new.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pytest_slipstream.databases.engines.mysql.sessions import quoted
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.catalogue import DATABASE, Catalogue
from pytest_slipstream.databases.memoising.operations import Check, Operation

FRUITLESS = 5
"""After so many times in a row that somebody looked, nothing is put off any more."""
_KEPT_IDLE = 8


class Rows(msgspec.Struct, frozen=True):
    """What there is in tables. ``filled``: those with rows; ``positions``: the next numbers that
    are not 1."""

    filled: frozenset[str]
    positions: dict[str, int]


class Holder(Protocol):
    """Keeps tables that are dropped; ``fruitless``: how often somebody has looked for them."""

    fruitless: int


class Place(Protocol):
    """One database."""

    @property
    def holder(self) -> Holder | None:
        """Whose tables are there, though they are dropped."""

    def read(self) -> Catalogue:
        """What is there."""

    def refuse_claims(self) -> None:
        """Raise UnknownResultError if the session that asks may have some."""

    def rows(self, tables: tuple[str, ...], *, are_new: bool = False) -> Rows:
        """What is in tables."""

    def is_as_made(self, made: Made) -> bool:
        """Whether the tables are as they were when they were new."""

    def put_off(self, holder: Holder, made: Made) -> bool:
        """Empty the tables and keep them; False if they are not known to be as they were made."""

    def keeps(self, holder: Holder, made: Made) -> None:
        """Tables have just been made, and may be all there is."""

    def take_back(self) -> None:
        """The tables are made again."""

    def drop(self) -> None:
        """Do what was put off."""


class Made(msgspec.Struct, frozen=True):
    """Tables as an operation made them, among ``catalogue``; ``added``: what it made; ``beside``: a
    table that is none of them, and has rows."""

    catalogue: Catalogue
    rows: Rows
    added: tuple[tuple[str, str], ...]
    beside: str = ""

    @property
    def is_all(self) -> bool:
        """Whether there is nothing else in the database."""
        return self.catalogue.objects.keys() - self.added == {DATABASE}

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of those that can be emptied."""
        return tuple(name for name in self.catalogue.tables if name != self.beside)


class Before(msgspec.Struct, frozen=True):
    """What `Tables.record` needs; ``restored`` is what a check compares with."""

    catalogue: Catalogue
    restored: Any = None


class Tables:
    """What is known of one set of tables in one database."""

    def __init__(self) -> None:
        self.fruitless = 0
        self._made: Made | None = None
        self._blank: Catalogue | None = None
        self._is_inverse = False
        self._idle: list[tuple[Operation, Catalogue]] = []
        self._refused: str | None = None

    def changes(self, place: Place, operation: Operation) -> bool:
        """Whether `redo` does something that ends the caller's transaction, as DDL does."""
        if place.holder is not None:
            return operation.makes or place.holder is not self
        if operation.makes or self._made is None or not self._is_inverse:
            return False
        return place.read() == self._made.catalogue

    def redo(self, place: Place, operation: Operation, check: Check) -> Before | None:
        """Do what the operation comes to, if that is known.

        Args:
            place: The database.
            operation: The call.
            check: Says whether one is due; then the operation is left to be done as it is
                written, so that the two can be compared.

        Returns:
            None where it is done; otherwise what `record` needs.

        Raises:
            UnknownResultError: It depends on something that cannot be compared.
        """
        if self._refused or self.fruitless > FRUITLESS:
            place.drop()
            reason = "tables that are looked for between being dropped and made again"
            raise UnknownResultError(self._refused or reason)
        if place.holder is not None and place.holder is not self:
            place.drop()
        if place.holder is self:
            return self._redo_dropped(place, operation, check)
        made = None if operation.makes or not self._is_inverse else self._made
        if made is not None and place.put_off(self, made):
            return None
        found = place.read()
        if made is not None and found == made.catalogue and place.put_off(self, made):
            return None
        if found.problem:
            raise UnknownResultError(found.problem)
        return None if (operation, found) in self._idle else Before(found)

    def _redo_dropped(self, place: Place, operation: Operation, check: Check) -> Before | None:
        """The tables are there, and nobody may know it."""
        made = self._made
        assert made is not None
        if not operation.makes:
            if (operation, self._blank) in self._idle:
                place.refuse_claims()  # a temporary table would be dropped
                return None
        elif place.is_as_made(made):
            if not check.is_due():
                self.fruitless = 0
                place.take_back()
                return None
            restored = check.content()
            place.drop()
            return Before(place.read(), restored)
        place.drop()
        return Before(place.read())

    def record(self, place: Place, operation: Operation, before: Before) -> None:
        """Learn from an operation that has just run as it is written."""
        found = place.read()
        if place.holder is not None or found.problem:
            return
        if found == before.catalogue:
            self._idle = [*self._idle[-_KEPT_IDLE:], (operation, found)]
        elif operation.makes and not before.catalogue.tables:
            added = found.objects.keys() - before.catalogue.objects.keys()
            self._blank, self._made = before.catalogue, None
            if before.catalogue.objects.items() <= found.objects.items():
                rows = place.rows(found.tables, are_new=True)
                self._made = Made(found, rows, tuple(sorted(added)))
                if self._made.rows.filled:
                    self._refused = "tables with rows"
                else:
                    place.keeps(self, self._made)
        elif not operation.makes and self._made is not None:
            had_all = before.catalogue == self._made.catalogue
            self._is_inverse |= had_all and found == self._blank


def dropped(
    database: str,
    added: tuple[tuple[str, str], ...],
    *,
    patience_s: int,
    is_mysql: bool = False,
    whole: bool = False,
) -> list[str]:
    """Statements that drop what an operation made, for a session without foreign key checks.

    Triggers go with their tables, and all of it with the database, if that is dropped as a whole.
    """
    drops = [
        f"DROP {kind} IF EXISTS {quoted(database, name)}"
        for kind, name in added
        if kind != "TRIGGER"
    ]
    if whole:
        drops = [f"DROP DATABASE IF EXISTS {quoted(database)}"]
    if is_mysql:
        patience = "SET SESSION lock_wait_timeout"
        return [f"{patience} = {patience_s}", *drops, f"{patience} = 1"]
    return [f"SET STATEMENT lock_wait_timeout = {patience_s} FOR {drop}" for drop in drops]
