"""``CREATE DATABASE`` and ``DROP DATABASE`` on MariaDB and MySQL: where the drop of all that is in
a database can be put off, so can the database's.

It stays with its emptied tables until the same statement makes it again, or until just before
somebody looks. Making an empty database is cheap there; the tables that are in it are not. The
invariant: only a database that is known to its last object is put off, and a statement comes to
what it came to when it ran as it is written, its warnings too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.engines.mysql.sessions import literal
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.mysql.calls import SERVER
from pytest_slipstream.databases.memoising.mysql.onlookers import (
    MARK,
    OWN,
    Onlookers,
    as_text,
    parameter,
    route_of,
)
from pytest_slipstream.databases.memoising.mysql.place import EMPTY, Place
from pytest_slipstream.databases.memoising.mysql.places import MysqlPlaces
from pytest_slipstream.databases.memoising.mysql.sending import Instead
from pytest_slipstream.databases.memoising.mysql.statements import Create, Drop, Exists, read
from pytest_slipstream.databases.urls import is_local

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_slipstream.databases.memoising.checking import Checking

_QUESTION = f"""{OWN} {SERVER}, database(), @@lower_case_table_names, NOT @@sql_notes OR {{fixed}},
concat_ws('; ', {{settings}})
"""
_LOCKED = f"{MARK} SHOW SESSION STATUS WHERE variable_name IN ('Com_lock_tables', 'Com_flush')"
_GRANTED = f"""{MARK} SHOW GLOBAL STATUS WHERE variable_name IN
('Com_grant', 'Com_grant_role', 'Com_grant_roles', 'Com_revoke', 'Com_revoke_all',
'Com_revoke_role', 'Com_revoke_roles', 'Com_drop_user', 'Com_rename_user')
"""
_SETTINGS = (
    *("@@character_set_server", "@@collation_server", "@@lc_messages", "@@global.read_only"),
    *("current_user()", "current_role()"),
)
_SETTINGS_OF_MYSQL = ("@@default_collation_for_utf8mb4", "@@default_table_encryption")
_READS_ONLY = 0x2000
"""The bit of the status that MySQL and MariaDB send in a transaction that is read only."""
_SHOW = "SHOW WARNINGS"
# A statement on the schema commits first, also one that fails then.
_COMMIT = f"{MARK} COMMIT AND NO CHAIN NO RELEASE"
_DATABASE_EXISTS, _NO_SUCH_DATABASE = 1007, 1008

Steps = Generator[str, Any, None]
"""What is sent over the application's connection, one after the other; it takes their results, and
leaves the connection with the one that the application is to see."""
Warnings = tuple[tuple[Any, ...], ...]


class Outcome(msgspec.Struct, frozen=True):
    """What a statement came to. ``warnings``: as SHOW WARNINGS tells them."""

    affected_rows: int
    warnings: Warnings = ()


class _Asked(msgspec.Struct, frozen=True):
    """What a session says before a statement. ``settings``: all that decides what it comes to, but
    for the databases that there are."""

    server: str
    database: str | None
    settings: str


class WholeOnMysql:
    """Those of one process.

    Args:
        ledger: Counts.
        checking: Says whether a difference was found.
        places: The databases in which something may be put off.
        onlookers: Who has seen the statements.
    """

    def __init__(
        self,
        ledger: Ledger,
        checking: Callable[[], Checking],
        places: MysqlPlaces,
        onlookers: Onlookers,
    ) -> None:
        self._ledger = ledger
        self._checking = checking
        self._places = places
        self._onlookers = onlookers
        self._made: dict[Place, tuple[str, str, Outcome]] = {}
        self._dropped: dict[Place, tuple[str, str, object, Outcome]] = {}
        self._absent: dict[tuple[Place, str, str], Outcome] = {}

    def instead(self, connection: Any, sent: Any) -> Instead:
        """What is sent in the place of a statement; None where it is sent as it is written.

        Args:
            connection: A driver's.
            sent: The statement.
        """
        statement = read(as_text(sent))
        if isinstance(statement, Exists):
            return self._answered(connection, statement, as_text(sent))
        if statement is None or not self._places.named(statement.name):
            return None
        return self._steps(connection, statement)

    def _answered(self, connection: Any, exists: Exists, text: str) -> str | None:
        """A question by name looks at nothing, where it is about a database that is known."""
        host, route = parameter(connection, "host") or "", route_of(connection)
        is_here = parameter(connection, "unix_socket") or is_local(as_text(host))
        known = [at for *_, at in self._places.named(exists.name) if is_here and at.route == route]
        if not known:
            return None
        return f"{MARK} {exists.negated if any(place.is_gone for place in known) else text}"

    def _steps(self, connection: Any, statement: Create | Drop) -> Steps:
        began_s = clock.seconds()
        label = statement.label
        left: Warnings = ()
        place: Place | None = None
        outcome: Outcome | None = None
        try:
            left = yield from _left_over(connection)
            self._checking().is_due(statement.label)
            asked = yield from self._ask(connection)
            place = self._place(asked.server, statement.name, connection)
            if place is not None and isinstance(statement, Create):
                outcome = yield from self._create(connection, statement, place, asked)
            elif place is not None and isinstance(statement, Drop):
                label = statement.label_of_none if place.is_gone else label
                outcome = yield from self._drop(connection, statement, place, asked)
        except UnknownResultError as reason:
            self._ledger.as_written(statement.label, str(reason))
            place = None
        if place is None:
            yield from self._send(connection, statement.text, left)
        elif outcome is not None:
            self._ledger.replaced(label, clock.seconds() - began_s)
            result = connection._result
            result.affected_rows = connection._affected_rows = outcome.affected_rows
            result.warning_count = len(outcome.warnings)
            self._answer(connection, outcome.warnings or left)
        else:
            yield from self._as_written(connection, statement, place, asked, left)

    def _place(self, server: str, database: str, connection: Any) -> Place | None:
        """Where this account was the last one to make tables."""
        account = as_text(parameter(connection, "user") or "")
        found = [(user, at) for its, user, at in self._places.named(database) if its == server]
        for user, place in found:
            if user != account and place.holder is not None:
                with self._places.work_in(place):
                    place.drop()
        return dict(found).get(account)

    def _ask(self, connection: Any) -> Generator[str, Any, _Asked]:
        is_mariadb = _is_mariadb(connection)
        fixed = "@@tx_read_only" if is_mariadb else "@@transaction_read_only"
        settings = _SETTINGS if is_mariadb else (*_SETTINGS, *_SETTINGS_OF_MYSQL)
        is_fixed = parameter(connection, "server_status") & _READS_ONLY
        question = _QUESTION.format(fixed=fixed, settings=", ".join(settings))
        try:
            ((server, database, folds, is_silent, told),) = (yield question).rows
            locked = _total((yield _LOCKED).rows)
            granted = _total((yield _GRANTED).rows)
        except Exception as error:  # each library has its own for what a server does not know
            raise UnknownResultError("a server of another kind or version") from error
        if is_fixed or int(is_silent):
            raise UnknownResultError("a session that only reads, or is told no notes")
        if int(folds) or locked:
            raise UnknownResultError("names without regard to case, or a session with locks")
        return _Asked(server, database, f"{told}; {granted}")

    def _create(
        self, connection: Any, create: Create, place: Place, asked: _Asked
    ) -> Generator[str, Any, Outcome | None]:
        text, settings, outcome = self._made.get(place, ("", "", Outcome(0)))
        if not place.is_gone or (text, settings) != (create.text, asked.settings):
            return None
        yield from _committed()
        with self._places.work_in(place):
            was_gone, place.is_gone = place.is_gone, False
        return outcome if was_gone else None

    def _drop(
        self, connection: Any, drop: Drop, place: Place, asked: _Asked
    ) -> Generator[str, Any, Outcome | None]:
        if asked.database == drop.name:
            raise UnknownResultError("a session that is in the database")
        if place.is_gone:
            absent = self._absent.get((place, drop.text, asked.settings))
            if absent is not None:
                yield from _committed()
            return absent if place.is_gone else None
        *known, outcome = self._dropped.get(place, ("", "", None, Outcome(0)))
        if place.state is None or known != [drop.text, asked.settings, place.state]:
            return None
        if place not in self._made:
            return None
        yield from _committed()
        with self._places.work_in(place):
            return outcome if place.hide() else None

    def _as_written(
        self,
        connection: Any,
        statement: Create | Drop,
        place: Place,
        asked: _Asked,
        left: Warnings,
    ) -> Steps:
        state = self._state(place)
        began_s = clock.seconds()
        result = yield from self._send(connection, statement.text, left)
        seconds = clock.seconds() - began_s
        label = statement.label
        outcome = Outcome(result.affected_rows)
        if result.warning_count:
            shown = yield _SHOW
            outcome = Outcome(result.affected_rows, tuple(shown.rows))
            connection._result = result
            connection._affected_rows = result.affected_rows
        codes = {int(code) for _, code, _ in outcome.warnings}
        if isinstance(statement, Create):
            if _DATABASE_EXISTS not in codes:
                self._made[place] = (statement.text, asked.settings, outcome)
        elif _NO_SUCH_DATABASE in codes:
            self._absent[place, statement.text, asked.settings] = outcome
            label = Drop.label_of_none
        else:
            place.whole = None
            self._dropped[place] = (statement.text, asked.settings, state, outcome)
        self._ledger.made(label, seconds)

    def _state(self, place: Place) -> object:
        """What a database is like now; None if that is not known."""
        state = place.state
        if state not in (None, EMPTY):
            with suppress(UnknownResultError), self._places.work_in(place):
                return state if place.read() == state else None
            return None
        return state

    def _send(self, connection: Any, text: str, left: Warnings) -> Generator[str, Any, Any]:
        result = yield text
        if not result.warning_count:
            self._answer(connection, left)
        return result

    def _answer(self, connection: Any, warnings: Warnings) -> None:
        if warnings:
            self._onlookers.answer(connection, _shown(warnings))


def _left_over(connection: Any) -> Generator[str, Any, Warnings]:
    """The warnings of the last statement, which MariaDB goes on telling after one that has none."""
    if not _is_mariadb(connection):
        return ()
    try:
        result = yield _SHOW
    except Exception as error:  # each library has its own
        raise UnknownResultError("a session that says nothing") from error
    return tuple(result.rows)


def _total(shown: Iterable[Sequence[object]]) -> int:
    return sum(int(str(number)) for _, number in shown)


def _is_mariadb(connection: Any) -> bool:
    return "mariadb" in str(parameter(connection, "server_version")).lower()


def _committed() -> Generator[str, Any, None]:
    try:
        yield _COMMIT
    except Exception as error:  # each library has its own
        raise UnknownResultError("a transaction that cannot be committed") from error


def _shown(warnings: Warnings) -> str:
    """A question that is answered as SHOW WARNINGS was."""
    rows = (
        f"SELECT {literal(str(level))} AS Level, {int(code)} AS Code, "
        f"{literal(str(message))} AS Message"
        for level, code, message in warnings
    )
    return f"{MARK} {' UNION ALL '.join(rows)}"
