"""All databases of MariaDB and MySQL in which a drop is put off.

The invariant: when the run is over, nothing is put off any more, and whoever looks earlier sees it
done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pymysql

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.claims import Caller
from pytest_slipstream.databases.memoising.mysql.onlookers import Onlookers
from pytest_slipstream.databases.memoising.mysql.place import Place


class MysqlPlaces:
    """The databases of one process.

    Args:
        onlookers: Who could look.
    """

    def __init__(self, onlookers: Onlookers) -> None:
        self._onlookers = onlookers
        self._places: dict[tuple[str, str, str], Place] = {}
        self._lock = threading.RLock()
        self._is_at_work = False

    def knows(self, connection_id: int) -> bool:
        """Whether a session has been here, and has said that it has no claims."""
        places = self._places.copy().values()  # another thread may come to a database meanwhile
        return any(place.claims.has_met(connection_id) for place in places)

    def leave(self) -> None:
        """Do what is put off, everywhere, and end slipstream's sessions."""
        self._onlookers.leave_alone()
        with self._lock:
            while self._places:
                self._places.popitem()[1].close()

    @contextmanager
    def at(self, caller: Caller) -> Iterator[Place]:
        """The database of the application's session, in which nobody else works meanwhile.

        Raises:
            UnknownResultError: Slipstream cannot get there, or its session was ended.
        """
        with self._at_work():
            place = self._place(caller)
            if place.is_gone:
                place.drop()
            with self._alone_in(place, caller):
                yield place

    @contextmanager
    def work_in(self, place: Place) -> Iterator[None]:
        """Nobody else works in a database meanwhile; raises as `at` does."""
        with self._at_work(), self._alone_in(place):
            yield

    def named(self, database: str) -> list[tuple[str, str, Place]]:
        """Those of one name, each with its server and the account."""
        places = self._places.copy().items()
        return [(server, user, at) for (server, name, user), at in places if name == database]

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._is_at_work = True
            self._onlookers.leave_alone()
            self._onlookers.watch()  # what another thread sends meanwhile waits for the lock
            try:
                yield
            finally:
                self._is_at_work = False
                if all(place.holder is None for place in self._places.values()):
                    self._onlookers.leave_alone()

    @contextmanager
    def _alone_in(self, place: Place, caller: Caller | None = None) -> Iterator[None]:
        (own,) = (key for key, other in self._places.items() if other == place)
        for key, other in self._places.items():
            if key[:2] == own[:2] and other != place:
                other.drop()  # another account's
        with _renewed(place), place.claims.of(caller):
            yield

    def _place(self, caller: Caller) -> Place:
        key = (caller.server, caller.database, caller.address.user)
        if key not in self._places:
            try:
                place = Place(caller.address, caller.route, self._onlookers)
            except (pymysql.err.MySQLError, OSError) as error:
                raise UnknownResultError("a server that slipstream cannot connect to") from error
            if not place.sees(caller.id):
                place.close()
                raise UnknownResultError("a server that slipstream finds another database at")
            self._places[key] = place
        return self._places[key]

    def look(self) -> None:
        """Do what is put off, since somebody is about to look."""
        with self._lock:
            if self._is_at_work:
                return
            self._onlookers.leave_alone()
            for place in self._places.values():
                place.drop()


@contextmanager
def _renewed(place: Place) -> Iterator[None]:
    """Whatever interrupts slipstream's session, a signal's exception too, it keeps no lock."""
    try:
        yield
    except UnknownResultError:
        raise
    except BaseException as error:
        with suppress(pymysql.err.MySQLError, OSError):
            place.renew()
        if isinstance(error, pymysql.err.MySQLError):
            raise UnknownResultError("a session of slipstream's that was ended") from error
        raise
