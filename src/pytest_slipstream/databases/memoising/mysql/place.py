"""One database of MariaDB or MySQL in which a drop is put off.

The invariant: what is put off is done as soon as anything is not as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import suppress

import msgspec
import pymysql

from pytest_slipstream.databases.engines.mysql import content
from pytest_slipstream.databases.engines.mysql.sessions import (
    Session,
    is_locked,
    is_lost,
    literal,
    quoted,
)
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.catalogue import (
    Catalogue,
    Counted,
    Reader,
    counted,
)
from pytest_slipstream.databases.memoising.mysql.claims import Claims, ClaimsError
from pytest_slipstream.databases.memoising.mysql.glance import Glance, glance
from pytest_slipstream.databases.memoising.mysql.onlookers import Onlookers
from pytest_slipstream.databases.memoising.mysql.tables import (
    FRUITLESS,
    Holder,
    Made,
    Rows,
    dropped,
)

_PATIENCE_S = 1
"""How long a lock is waited for, which the server itself takes at times, even of a locked table."""
_DROP_PATIENCE_S = 60
"""How long a drop that was put off waits for a lock; as it is written it would wait for a day."""
_OFTEN = 2
"""After tests that write nothing have followed one another so often, the next is taken for one."""
EMPTY = "no objects"
# Who has been counted may still be on the way to a database.
_PRESENT = """
SELECT id, db <=> {database} FROM information_schema.processlist
WHERE db = {database} OR command IN ('Connect', 'Init DB', 'Change user')
"""


class Held(msgspec.Struct, frozen=True):
    """Tables that are there, though they are dropped."""

    holder: Holder
    made: Made


class Place:
    """One database, and a session of slipstream's own that works in it.

    Args:
        address: How to connect.
        route: How the process's connections reach the server.
        onlookers: Who could look.
    """

    def __init__(self, address: Address, route: object, onlookers: Onlookers) -> None:
        self._address = address
        self.route = route
        self._onlookers = onlookers
        self._session = Session(address, patience_s=_PATIENCE_S)
        self._reader = Reader(self._session, address.database)
        self._held: Held | None = None
        self.whole: Held | None = None
        """Tables that are all there is, as far as is known."""
        self.is_gone = False
        """Whether the database is there, though it is dropped, too."""
        self._is_mysql = self._session.flavour == "mysql"
        self._inserted: dict[str, int] = {}
        """What it was when the tables were new."""
        self._inserts: int | None = None
        """What it was when nobody could write to the tables."""
        self._arrivals: int | None = None
        """What it was when no stranger was there."""
        self.claims = Claims()
        self._unwritten = 0
        """How many times in a row there was nothing to empty."""
        self._is_quiet = not self._is_mysql
        """Whether nobody had inserted anything on the server when that was compared last."""

    @property
    def holder(self) -> Holder | None:
        """Whose tables are there, though they are dropped."""
        return None if self._held is None else self._held.holder

    @property
    def state(self) -> object:
        """What the database was like when it was seen last; None if that is not known."""
        return EMPTY if self._held is not None else self.whole and self.whole.made.catalogue

    def keeps(self, holder: Holder, made: Made) -> None:
        """Tables have just been made, and may be all there is."""
        self.whole = Held(holder, made) if made.is_all else None

    def sees(self, connection_id: int) -> bool:
        """Whether a session of the application's is one of this server's, in this database."""
        query = f"SELECT db FROM information_schema.processlist WHERE id = {connection_id}"
        return self._session.rows(query) == [(self._address.database,)]

    def read(self) -> Catalogue:
        """What is defined."""
        return self._reader.at(self._count())

    def _count(self) -> Counted:
        found = counted(self._session.rows(self._reader.question))
        self.claims.refuse(found)
        return found

    def refuse_claims(self) -> None:
        """Go on only for a session that has none.

        Raises:
            ClaimsError: It is to be asked first.
        """
        self._count()

    def content(self) -> dict[str, str]:
        """All there is."""
        return content.digest_in(self._session, self._address.database)

    def rows(self, tables: tuple[str, ...], *, are_new: bool = False) -> Rows:
        """What is in tables."""
        seen = self._glance(tables)
        if are_new:
            self._inserted = seen.inserted
        return seen.rows

    def all_rows(self, table: str) -> list[tuple[object, ...]]:
        """Those of one table."""
        return self._session.rows(f"SELECT * FROM {quoted(self._address.database, table)}")

    def put_rows(self, table: str, values: Sequence[str]) -> None:
        """Make these the only ones of a table with one column."""
        name = quoted(self._address.database, table)
        if sorted(values) != sorted(literal(str(row[0])) for row in self.all_rows(table)):
            inserts = (f"INSERT INTO {name} VALUES ({value})" for value in values)
            self._session.run([f"DELETE FROM {name}", *inserts])

    def is_as_made(self, made: Made) -> bool:
        """Whether the tables are as they were when they were new."""
        if self._is_quiet:
            now = self._count()
            if now.inserts == self._inserts and self._reader.known_at(now) == made.catalogue:
                return True  # nobody can have written to them, or have set a next number
        seen = self._glance(made.tables)
        self.claims.refuse(seen.counted)
        self._inserted = seen.inserted
        self._is_quiet = not self._is_mysql and seen.counted.inserts == self._inserts
        return seen.rows == made.rows and self._reader.at(seen.counted) == made.catalogue

    def put_off(self, holder: Holder, made: Made) -> bool:
        """Empty the tables and keep them; False if they are not known to be as they were made.

        They are locked as DROP TABLE locks them, so that a transaction of somebody's that it would
        wait for is noticed.

        Raises:
            UnknownResultError: Somebody uses them, or could look without being noticed.
        """
        database, tables = self._address.database, made.tables
        locks = ", ".join(f"{quoted(database, name)} WRITE" for name in tables)
        lock = f"LOCK TABLES {locks}"
        try:
            if self._unwritten >= _OFTEN and self._put_off_unwritten(lock, holder, made):
                return True
            seen = self._glance(tables, lock)
        except pymysql.err.MySQLError as error:
            self._session.run(["UNLOCK TABLES"])
            if is_locked(error):
                raise UnknownResultError("tables that somebody uses") from error
            return False
        is_known = self._reader.known_at(seen.counted) == made.catalogue
        refused = self._refused(seen.counted) if is_known else None
        emptied: list[str] = []
        if is_known and refused is None:
            self._held, self.whole = Held(holder, made), None
            self._inserts = seen.counted.inserts
            written = dict(seen.inserted.items() - self._inserted.items()).keys() & set(tables)
            emptied += _emptied(database, seen.rows, made.rows, written)
        self._unwritten = 0 if emptied or self._is_mysql else self._unwritten + 1
        try:
            self._session.run([*emptied, "UNLOCK TABLES"])
        except pymysql.err.MySQLError:
            self._held = None  # some may have rows still: all are dropped as it is written
            raise
        if refused is not None:
            raise refused
        return is_known

    def _put_off_unwritten(self, lock: str, holder: Holder, made: Made) -> bool:
        """The same in one round trip, where nobody has written anything since the last time; False
        if somebody may have.

        Raises:
            UnknownResultError: Somebody could look without being noticed.
        """
        self.claims.own += 1
        _, (_, told), _ = self._session.results([lock, self._reader.question, "UNLOCK TABLES"])
        seen = counted(told)
        if seen.inserts != self._inserts or self._reader.known_at(seen) != made.catalogue:
            self._unwritten = 0
            return False
        if (refused := self._refused(seen)) is not None:
            raise refused
        self._held, self.whole = Held(holder, made), None
        return True

    def _refused(self, seen: Counted) -> UnknownResultError | None:
        """Why nothing may be put off, or None."""
        try:
            self.claims.refuse(seen)
        except ClaimsError as claimed:
            return claimed
        found: list[tuple[int, bool]] = []
        if seen.arrivals != self._arrivals:
            query = _PRESENT.format(database=literal(self._address.database))
            found = [(int(number), bool(is_here)) for number, is_here in self._session.rows(query)]
        present = [number for number, is_here in found if is_here]
        if (stranger := self._onlookers.stranger(self.route, present)) is not None:
            return UnknownResultError(stranger)
        self._arrivals = seen.arrivals if len(present) == len(found) else None
        return None

    def _glance(self, tables: tuple[str, ...], *first: str) -> Glance:
        self.claims.own += len(first)
        return glance(self._session, self._reader, self._address.database, tables, *first)

    def take_back(self) -> None:
        """The tables are made again."""
        if self._held is not None:
            self.keeps(self._held.holder, self._held.made)
        self._held = None

    def hide(self) -> bool:
        """Put off that the database is dropped; False if it is not known what is in it.

        Raises:
            UnknownResultError: Somebody uses its tables, or could look without being noticed.
        """
        found, is_empty = self._held or self.whole, self._held is not None
        if found is None or not found.made.is_all or found.holder.fruitless > FRUITLESS:
            return False
        if is_empty:
            if (refused := self._refused(self._count())) is not None:
                raise refused
        elif not self.put_off(found.holder, found.made):
            is_same = self.read() == found.made.catalogue
            if not is_same or not self.put_off(found.holder, found.made):
                return False
        self.is_gone = True
        return True

    def drop(self) -> None:
        """Do what was put off.

        A database that another process has used since it was dropped is that process's.
        """
        held, self._held = self._held, None
        is_gone, self.is_gone = self.is_gone, False
        if held is None:
            return
        held.holder.fruitless += 1
        with self.claims.of(None):
            try:
                self._drop(held.made, whole=is_gone)
            except pymysql.err.MySQLError as error:
                if not is_lost(error):
                    raise
                self.renew()
                self._drop(held.made, whole=is_gone)

    def _drop(self, made: Made, *, whole: bool) -> None:
        if whole and not (self.read() == made.catalogue and self.is_as_made(made)):
            return
        name, is_mysql = self._address.database, self._is_mysql
        self._session.run(
            dropped(name, made.added, patience_s=_DROP_PATIENCE_S, is_mysql=is_mysql, whole=whole)
        )

    def renew(self) -> None:
        """Take another session, since this one may be in the midst of an answer, or lost."""
        self._session.abandon()
        self.claims.forget()
        self._arrivals = None
        self._session = Session(self._address, patience_s=_PATIENCE_S)
        self._reader = Reader(self._session, self._address.database)

    def close(self) -> None:
        """Leave the database as it should be."""
        # One that does not answer any more has no tables.
        with suppress(pymysql.err.MySQLError, OSError):
            self.drop()
        self._session.close()


def _emptied(database: str, now: Rows, made: Rows, written: Set[str]) -> Iterator[str]:
    """Statements that put tables back to what they were when they were new."""
    moved = dict(now.positions.items() ^ made.positions.items())
    for name in sorted(now.filled | moved.keys() | written):
        yield f"TRUNCATE TABLE {quoted(database, name)}"
        if name in made.positions:
            position = made.positions[name]
            yield f"ALTER TABLE {quoted(database, name)} AUTO_INCREMENT = {position}"
