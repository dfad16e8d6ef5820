"""Operations on the schema of MariaDB, for all libraries of a process.

The invariant: PyMySQL is imported when an operation on MariaDB is met, and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.mysql.onlookers import Onlookers
from pytest_slipstream.databases.memoising.mysql.sending import Instead

if TYPE_CHECKING:
    from pytest_slipstream.databases.memoising.checking import Checking
    from pytest_slipstream.databases.memoising.mysql.claims import Caller
    from pytest_slipstream.databases.memoising.mysql.places import MysqlPlaces
    from pytest_slipstream.databases.memoising.mysql.tables import Before, Tables
    from pytest_slipstream.databases.memoising.mysql.whole import WholeOnMysql
    from pytest_slipstream.databases.memoising.operations import Operation, Session

PRODUCT = "MySQL or MariaDB"
_ASKS = 50
"""So many calls in a row ask at once, after one that has found that somebody has made claims: where
several workers use one server they all do, all the time."""
Tablesets = dict[object, Any]
"""What is known of tables, by all that it depends on."""


class OnMysql:
    """Replaces operations from `put_up` to `take_down`.

    Args:
        ledger: Counts what is compared.
        checking: Says what is to be.
    """

    def __init__(self, ledger: Ledger, checking: Callable[[], Checking]) -> None:
        self._ledger = ledger
        self._checking = checking
        self._onlookers = Onlookers(self._look, self._is_gone, self._instead)
        self._places: MysqlPlaces | None = None
        self._whole: WholeOnMysql | None = None
        self._asks = 0

    def put_up(self) -> None:
        """Know the connections of the process."""
        self._onlookers.put_up()

    def take_down(self) -> None:
        """Do what is put off, and put the drivers back as they were."""
        if self._places is not None:
            self._places.leave()
            self._places = self._whole = None
        self._onlookers.take_down()

    def enter(
        self, session: Session, connection: Any, *, is_asked: bool = True
    ) -> tuple[MysqlPlaces, Caller]:
        """The databases of the process, and which of them a session works in.

        Args:
            session: The application's.
            connection: The driver's.
            is_asked: Whether the session is asked for its claims.

        Raises:
            UnknownResultError: It is no session of which anything can be known.
        """
        refuse_without_pymysql()
        from pytest_slipstream.databases.memoising.mysql import calls
        from pytest_slipstream.databases.memoising.mysql.places import MysqlPlaces

        caller = calls.caller_of(session, connection, self._onlookers, is_asked=is_asked)
        self._places = self._places or MysqlPlaces(self._onlookers)
        return self._places, caller

    def run(
        self,
        session: Session,
        connection: Any,
        operation: Operation,
        label: str,
        known: Tablesets,
    ) -> Callable[[], None] | None:
        """Do what an operation comes to, if that is known.

        Args:
            session: The application's.
            connection: The driver's.
            operation: The call.
            label: What the summary calls it.
            known: What is known of the tables that the operation is for.

        Returns:
            None where it is done; otherwise what is to be called when it has run as it is written.

        Raises:
            UnknownResultError: It depends on something that cannot be compared.
        """
        refuse_without_pymysql()
        from pytest_slipstream.databases.memoising.mysql.calls import refuse_driver
        from pytest_slipstream.databases.memoising.mysql.claims import ClaimsError

        refuse_driver(connection)
        run = partial(self._run, session, connection, operation, label, known)
        is_known = self._places is not None and self._places.knows(connection.thread_id())
        if is_known and not self._asks:
            with suppress(ClaimsError):
                return run(is_asked=False)
            self._asks = _ASKS
        self._asks = max(self._asks - 1, 0)
        return run(is_asked=True)

    def _run(
        self,
        session: Session,
        connection: Any,
        operation: Operation,
        label: str,
        known: Tablesets,
        *,
        is_asked: bool,
    ) -> Callable[[], None] | None:
        places, caller = self.enter(session, connection, is_asked=is_asked)
        from pytest_slipstream.databases.memoising.mysql import calls
        from pytest_slipstream.databases.memoising.mysql.tables import Tables

        if caller.is_in_transaction and not is_asked:
            places, caller = self.enter(session, connection)
        tables = known.setdefault((caller.server, caller.database, caller.surroundings), Tables())
        is_due = partial(self._checking().is_due, label)
        started = clock.seconds()
        if caller.is_in_transaction and calls.changes(places, tables, caller, operation):
            session.run("COMMIT")
        before = calls.redo(places, tables, caller, operation, is_due)
        restoring_s = clock.seconds() - started
        if before is None:
            return None
        return lambda: self._learn(places, caller, tables, operation, before, label, restoring_s)

    def _learn(
        self,
        places: MysqlPlaces,
        caller: Caller,
        tables: Tables,
        operation: Operation,
        before: Before,
        label: str,
        restoring_s: float,
    ) -> None:
        made = None
        with suppress(UnknownResultError), places.at(caller) as place, place.claims.of(None):
            tables.record(place, operation, before)
            made = place.content() if before.restored is not None else None
        if made is not None:
            self._ledger.replaced(label, restoring_s)
            self._checking().compare(label, made, before.restored)

    def _is_gone(self, database: str) -> bool:
        places = self._places
        return places is not None and any(at.is_gone for *_, at in places.named(database))

    def _instead(self, connection: Any, sent: Any) -> Instead:
        if self._places is None:
            return None
        from pytest_slipstream.databases.memoising.mysql.whole import WholeOnMysql

        if self._whole is None:
            self._whole = WholeOnMysql(self._ledger, self._checking, self._places, self._onlookers)
        return self._whole.instead(connection, sent)

    def _look(self) -> None:
        if self._places is not None:
            self._places.look()


def refuse_without_pymysql() -> None:
    """Slipstream's own sessions are PyMySQL's.

    Raises:
        UnknownResultError: It cannot be imported.
    """
    if find_spec("pymysql") is None:
        raise UnknownResultError("PyMySQL, by which slipstream connects, is not installed")
