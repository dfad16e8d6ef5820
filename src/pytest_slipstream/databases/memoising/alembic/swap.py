"""``downgrade base`` and ``upgrade`` in turns on PostgreSQL: the schema with all tables and one
with an empty table of versions give each other their name.

The invariant: they change places only if nobody has changed anything in the catalogue since they
were made, and the tables come back empty, with the versions that migrations had noted.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Hashable
from functools import partial

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from pytest_slipstream.databases.memoising.alembic.places import Looks, Place, PostgresqlPlace
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import Session
from pytest_slipstream.databases.memoising.postgresql.parking import (
    Made,
    copy_of,
    literal,
    look,
    park,
    quoted,
    unpark,
)
from pytest_slipstream.databases.memoising.postgresql.places import Places
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX, State, read
from pytest_slipstream.databases.memoising.sqlalchemy.sessions import state_of

_FRUITLESS = 5
"""After so many pairs that did not last until their next use, no more are made."""


class Head(msgspec.Struct, frozen=True):
    """Tables as an upgrade has just made them, and how the database looked before."""

    operation: Hashable
    before: Looks
    made: Made
    versions: tuple[str, ...]


def head_of(
    session: Session, version_table: str, operation: Hashable, before: Looks
) -> Head | None:
    """What an upgrade has made; None where that cannot be kept out of sight."""
    state = read(session.rows)
    if state.schema is None or state.problem or not state.may_rename:
        return None
    made = look(session, state, besides=version_table)
    if made.problem or (made.needs_superuser and not state.is_superuser):
        return None
    return Head(operation, before, made, _versions(session, state.schema.name, version_table))


class Swap:
    """One pair of schemas in one database.

    Args:
        head: The upgrade's.
        version_table: Its name.
        new_name: Gives names for schemas.
    """

    def __init__(self, head: Head, version_table: str, new_name: Callable[[], str]) -> None:
        self.head = head
        self._table = version_table
        self._new_name = new_name
        self.aside = ""
        self._base = 0
        self._digest = ""

    def is_at_head(self, session: Session, state: State) -> bool:
        """Whether all tables are in sight, as they were made, and may go out of it."""
        return self._stands(session, state, self.head.made.namespace, self._base) and (
            not state.writes
        )

    def is_at_base(self, session: Session, state: State) -> bool:
        """Whether they are out of sight, and may come back."""
        return self._stands(session, state, self._base, self.head.made.namespace)

    def _stands(self, session: Session, state: State, front: int, behind: int) -> bool:
        schema, aside = state.schema, state.named(self.aside)
        if schema is None or aside is None or state.digest != self._digest or state.problem:
            return False
        if (schema.oid, aside.oid) != (front, behind) or not aside.is_like(schema):
            return False
        expected = () if front == self._base else self.head.versions
        return _versions(session, schema.name, self._table) == expected

    def make(
        self, session: Session, state: State, make_version_table: Callable[[str], None]
    ) -> None:
        """Put the tables out of sight for the first time.

        Args:
            session: The caller's.
            state: Of the database now, at head.
            make_version_table: Makes an empty one in a schema.

        Raises:
            UnknownResultError: The schema's like cannot be made.
        """
        assert state.schema is not None
        self.aside = self._new_name()
        for statement in copy_of(session, state.schema, self.aside):
            session.run(statement)
        make_version_table(self.aside)
        with_both = read(session.rows)
        base = with_both.named(self.aside)
        if base is None or not base.is_like(state.schema):
            raise UnknownResultError(
                f"the schema {state.schema.name}, whose rights cannot be given to another"
            )
        self._base, self._digest = base.oid, with_both.digest
        self.to_base(session, with_both)

    def to_base(self, session: Session, state: State) -> None:
        """Put the tables out of sight."""
        assert state.schema is not None
        parked = self._new_name()
        session.run(park(self.head.made.names, state.schema.name, parked, self.aside))
        self.aside = parked

    def to_head(self, session: Session, state: State) -> None:
        """Bring them back, empty."""
        assert state.schema is not None
        away = self._new_name()
        session.run(unpark(state, self.head.made, away, self.aside))
        self.aside = away
        table = f"{quoted(state.schema.name)}.{quoted(self._table)}"
        for version in self.head.versions:
            session.run(f"INSERT INTO {table} VALUES ({literal(version)})")


class Change(msgspec.Struct, frozen=True):
    """A change of places that is possible now."""

    place: PostgresqlPlace
    swap: Swap
    change: Callable[[], None]

    def apply(self) -> bool:
        """Do it."""
        self.change()
        return True

    def rehearse(self) -> dict[str, str]:
        """What the database would hold then."""
        aside = self.swap.aside
        found = self.place.rehearse_by(self.change)
        self.swap.aside = aside
        return found


class Swaps:
    """The pairs of all databases."""

    def __init__(self) -> None:
        self._places = Places()
        self._numbers = itertools.count(1)
        self._heads: dict[Hashable, Head] = {}
        self._pairs: dict[Hashable, Swap] = {}
        self._operations: set[Hashable] = set()
        self._made: Counter[Hashable] = Counter()

    def find(self, place: Place, operation: Hashable) -> Change | None:
        """How to do an operation by a change of places, if that is possible now.

        Raises:
            UnknownResultError: The server is on another machine.
        """
        if operation not in self._operations or not isinstance(place, PostgresqlPlace):
            return None
        session, state, where = self._enter(place)
        swap = self._pairs.get((where, operation))
        if swap is None:
            return None
        if operation == swap.head.operation:
            is_there, change = swap.is_at_base, swap.to_head
        else:
            is_there, change = swap.is_at_head, swap.to_base
        if not is_there(session, state):
            return None
        self._made[where] = 0
        return Change(place, swap, partial(change, session, state))

    def note(self, place: Place, operation: Hashable, before: Looks) -> None:
        """Look at what an upgrade has just made, if it found nothing but a table of versions."""
        if isinstance(place, PostgresqlPlace) and before.rows is None:
            session, _, where = self._enter(place)
            head = head_of(session, place.version_table, operation, before)
            if head is not None:
                self._heads[where] = head

    def make(
        self,
        place: Place,
        operation: Hashable,
        after: dict[str, str] | None,
        make_version_table: Callable[[str], None],
    ) -> bool:
        """Do a downgrade by putting the tables out of sight, if that is what it comes to.

        Args:
            place: The database.
            operation: The downgrade.
            after: What it came to another time.
            make_version_table: Makes an empty one in a schema.
        """
        if not isinstance(place, PostgresqlPlace):
            return False
        session, state, where = self._enter(place)
        head = self._heads.get(where)
        if head is None or state.schema is None or state.writes or self._made[where] > _FRUITLESS:
            return False
        if (state.digest, state.schema.oid) != (head.made.digest, head.made.namespace):
            return False
        self._drop_old(session, state, (where, operation))
        swap = Swap(head, place.version_table, self._new_name)
        self._made[where] += 1
        session.run("SAVEPOINT slipstream_memo")
        try:
            swap.make(session, read(session.rows), make_version_table)
            is_right = place.look() == head.before and place.content() == after
        except (UnknownResultError, SQLAlchemyError):  # a right that the role does not have
            is_right = False
        if not is_right:
            session.run("ROLLBACK TO SAVEPOINT slipstream_memo")
            return False
        session.run("RELEASE SAVEPOINT slipstream_memo")
        for one in (operation, head.operation):
            self._operations.add(one)
            self._pairs[where, one] = swap
        return True

    def leave(self) -> None:
        """Drop slipstream's schemas in all databases that are still there."""
        self._places.leave()

    def _enter(self, place: PostgresqlPlace) -> tuple[Session, State, Hashable]:
        state = state_of(self._places, place.connection, place.session)
        return place.session, state, (state.identity, state.surroundings)

    def _drop_old(self, session: Session, state: State, key: Hashable) -> None:
        old = self._pairs.get(key)
        if old is not None and (found := state.named(old.aside)) is not None:
            session.run(f"DROP SCHEMA {found.name} CASCADE")

    def _new_name(self) -> str:
        return f"{PREFIX}{os.getpid()}_alembic{next(self._numbers)}"


def _versions(session: Session, schema: str, table: str) -> tuple[str, ...]:
    found = session.rows(f"SELECT version_num FROM {quoted(schema)}.{quoted(table)} ORDER BY 1")
    return tuple(str(row[0]) for row in found)
