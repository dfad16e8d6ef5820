"""``downgrade base`` and ``upgrade`` in turns on MariaDB: the tables are emptied and stay, as with
``drop_all``, and only the table of versions is written.

The invariant: they stay only where the two commands define nothing but tables of this database, and
lead to each other's beginning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from pytest_slipstream.databases.engines.mysql.sessions import literal
from pytest_slipstream.databases.memoising.alembic.on_mysql import MysqlPlace, versions_in
from pytest_slipstream.databases.memoising.alembic.places import Looks, Place
from pytest_slipstream.databases.memoising.alembic.statements import Statement
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.catalogue import Catalogue
from pytest_slipstream.databases.memoising.mysql.onlookers import MARK
from pytest_slipstream.databases.memoising.mysql.tables import Made

_FRUITLESS = 5
"""After so many times that somebody looked, or that a pair did not come about, none is tried."""
_PLAIN = re.compile(
    r"\s*(CREATE\s+TABLE(?!.*\bSELECT\b)|CREATE\s+(UNIQUE\s+|FULLTEXT\s+)?INDEX|ALTER\s+TABLE"
    r"|DROP\s+(TABLE|INDEX)|RENAME\s+TABLE|INSERT|UPDATE|DELETE)\s",
    re.IGNORECASE | re.DOTALL,
)
_ROWS = re.compile(r"\s*(INSERT|UPDATE|DELETE)\s", re.IGNORECASE)
_ELSEWHERE = re.compile(r"[\w$`]\s*\.\s*[`a-z_$]|\b(DATA|INDEX)\s+DIRECTORY\b", re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_VERSION = re.compile(r"'([^'\\]*)'")


class Ends(msgspec.Struct, frozen=True):
    """How a command leaves the versions: ``committed`` when its last definition has committed them,
    and what it sends after that; ``versions`` in the end."""

    committed: tuple[str, ...]
    tail: tuple[Statement, ...]
    versions: tuple[str, ...]


class Head(msgspec.Struct, frozen=True):
    """What an upgrade has made of a database in which there was a table of versions.

    ``rows``: the digest of that table's.
    """

    operation: Hashable
    base: Catalogue
    base_versions: tuple[str, ...]
    made: Made
    ends: Ends
    rows: str


class Pair:
    """An upgrade and the downgrade that undoes it; holds the tables between the two."""

    def __init__(self, head: Head, ends: Ends) -> None:
        self.fruitless = 0
        self.head = head
        self.ends = ends
        """The downgrade's."""


class Turn(msgspec.Struct, frozen=True):
    """One of the two, which is possible now."""

    place: MysqlPlace
    pair: Pair
    makes: bool
    frame: Callable[[], AbstractContextManager[Any]]

    def apply(self) -> bool:
        """Do it; False where somebody uses the tables, or could look."""
        head, table = self.pair.head, self.place.version_table
        ends = head.ends if self.makes else self.pair.ends
        with self.place.places.at(self.place.caller) as database:
            if self.makes:
                database.take_back()
            else:
                try:
                    if not database.put_off(self.pair, head.made):
                        return False
                except UnknownResultError:
                    return False
            database.put_rows(table, [literal(version) for version in ends.committed])
        tail = [msgspec.structs.replace(one, text=f"{MARK} {one.text}") for one in ends.tail]
        with self.frame():
            self.place.replay(tail)
        return True

    def rehearse(self) -> dict[str, str]:
        """What the database would hold after the upgrade."""
        name = f"rows of {self.place.version_table}"
        return {**self.place.content(), name: self.pair.head.rows}


class Turns:
    """The pairs of all databases."""

    def __init__(self) -> None:
        self._heads: dict[Hashable, Head] = {}
        self._pairs: dict[Hashable, Pair] = {}
        self._looked: Counter[Hashable] = Counter()

    def find(
        self, place: Place, operation: Hashable, frame: Callable[[], AbstractContextManager[Any]]
    ) -> Turn | None:
        """How to do an operation in turns, if that is possible now.

        Args:
            place: The database.
            operation: The command.
            frame: The transaction that Alembic gives to each migration, if any.
        """
        if not isinstance(place, MysqlPlace):
            return None
        pair = self._pairs.get((_where(place), operation))
        if pair is None:
            return None
        head = pair.head
        makes = operation == head.operation
        with place.places.at(place.caller) as database:
            if makes:
                is_there = database.holder is pair and database.is_as_made(head.made)
                expected = head.base_versions
            else:
                is_there = database.holder is None and database.read() == head.made.catalogue
                is_there = is_there and pair.fruitless <= _FRUITLESS
                expected = head.ends.versions
            if not is_there or versions_in(database, place.version_table) != expected:
                return None
        return Turn(place, pair, makes, frame)

    def note(
        self,
        place: Place,
        operation: Hashable,
        before: Looks,
        sent: Sequence[Statement],
        command: str,
    ) -> None:
        """Look at what a command has just come to.

        Args:
            place: The database, which was looked at before.
            operation: The command and all that decides about it.
            before: What the database was like.
            sent: The statements.
            command: Its name.
        """
        if not isinstance(place, MysqlPlace):
            return
        if command == "upgrade":
            self._note_upgrade(place, operation, before, sent)
        elif command == "downgrade" and all(o.ignores_rows(place.version_table) for o in sent):
            self._note_downgrade(place, operation, sent)

    def _note_upgrade(
        self, place: MysqlPlace, operation: Hashable, before: Looks, sent: Sequence[Statement]
    ) -> None:
        """Look at what an upgrade has just made, if it found nothing but a table of versions."""
        table, where = place.version_table, _where(place)
        base = place.found
        is_bare = base.objects.keys() == {("DATABASE", ""), ("TABLE", table)}
        if before.rows is not None or not is_bare or self._looked[where] > _FRUITLESS:
            return
        ends = _ends(sent, table, place.versions)
        if ends is None:
            return
        self._looked[where] += 1
        with place.places.at(place.caller) as database:
            found = database.read()
            others = tuple(name for name in found.tables if name != table)
            rows = database.rows(others, are_new=True)
            is_kept = base.objects.items() <= found.objects.items()
            if found.problem or rows.filled or not is_kept:
                return
            added = tuple(sorted(found.objects.keys() - base.objects.keys()))
            digest = database.content()[f"rows of {table}"]
        made = Made(found, rows, added, beside=table)
        self._heads[where] = Head(operation, base, place.versions, made, ends, digest)

    def _note_downgrade(
        self, place: MysqlPlace, operation: Hashable, sent: Sequence[Statement]
    ) -> None:
        """Make a pair of a downgrade that has just been done, and the upgrade before it."""
        where = _where(place)
        head = self._heads.get(where)
        ends = _ends(sent, place.version_table, place.versions)
        if head is None or ends is None:
            return
        if (place.found, place.versions) != (head.made.catalogue, head.ends.versions):
            return
        with place.places.at(place.caller) as database:
            if database.read() != head.base or ends.versions != head.base_versions:
                return
        self._looked[where] = 0
        self._pairs[where, operation] = self._pairs[where, head.operation] = Pair(head, ends)


def _where(place: MysqlPlace) -> Hashable:
    return (place.caller.server, place.caller.database, place.caller.surroundings)


def _ends(sent: Sequence[Statement], version_table: str, versions: tuple[str, ...]) -> Ends | None:
    """How statements leave the versions; None if they do more than define tables."""
    noted = set(versions)
    committed = versions
    tail: list[Statement] = []
    for one in sent:
        if not one.is_of_versions(version_table):
            bare = _QUOTED.sub("''", one.text)
            if not _PLAIN.match(bare) or _ELSEWHERE.search(bare):
                return None
            if not _ROWS.match(bare):
                committed, tail = tuple(sorted(noted)), []
        elif not _apply(one.text, noted):
            return None
        else:
            tail.append(one)
    return Ends(committed, tuple(tail), tuple(sorted(noted)))


def _apply(text: str, versions: set[str]) -> bool:
    """Do what one of Alembic's statements does to the versions; False if it is another."""
    verb, named = text.split(maxsplit=1)[0].upper(), _VERSION.findall(text)
    if verb == "INSERT" and len(named) == 1:
        versions.add(named[0])
    elif verb == "UPDATE" and len(named) == 2 and named[1] in versions:
        versions.remove(named[1])
        versions.add(named[0])
    elif verb == "DELETE" and len(named) == 1:
        versions.discard(named[0])
    else:
        return False
    return True
