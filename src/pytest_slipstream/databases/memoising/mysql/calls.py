"""The way from a library's connection to a session of the server, and to slipstream's own.

The invariant: over the application's connection nothing is sent but questions, and the COMMIT that
the operation itself would have come to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.claims import Caller
from pytest_slipstream.databases.memoising.mysql.onlookers import (
    MARK,
    OWN,
    Onlookers,
    parameter,
    route_of,
)
from pytest_slipstream.databases.memoising.mysql.place import Place
from pytest_slipstream.databases.memoising.mysql.places import MysqlPlaces
from pytest_slipstream.databases.memoising.mysql.tables import Before, Tables
from pytest_slipstream.databases.memoising.operations import Operation, Session
from pytest_slipstream.databases.urls import is_local

_MODULES = ("pymysql", "aiomysql", "asyncmy")
_SETTINGS = (
    *("sql_mode", "default_storage_engine", "time_zone"),
    *("character_set_client", "character_set_connection", "collation_connection"),
    *("character_set_database", "collation_database", "foreign_key_checks"),
    *("explicit_defaults_for_timestamp", "innodb_strict_mode", "innodb_default_row_format"),
    *("innodb_file_per_table", "lower_case_table_names"),
)
_SETTINGS_OF_MARIADB = ("enforce_storage_engine", "old_mode", "alter_algorithm")
_SETTINGS_OF_MYSQL = (
    *("sql_require_primary_key", "sql_generate_invisible_primary_key", "default_table_encryption"),
    *("default_collation_for_utf8mb4", "restrict_fk_on_non_standard_key"),
)
SERVER = "concat_ws(' ', @@hostname, @@port, @@datadir, @@pid_file)"
"""What tells servers apart."""
_QUESTION = f"""{OWN} connection_id(), database(), @@version, {SERVER},
concat_ws('; ', user(), current_user(), current_role(), {{settings}})
"""
_CLAIMS = """
(SELECT sum(variable_value) FROM information_schema.session_status
 WHERE variable_name IN ('COM_CREATE_TEMPORARY_TABLE', 'COM_LOCK_TABLES'))
"""
_COUNTED = (
    f"{MARK} SHOW SESSION STATUS WHERE variable_name IN ('Com_create_table', 'Com_lock_tables')"
)
_IN_TRANSACTION = 1
"""A bit of the status that MySQL sends with an answer."""


IsDue = Callable[[], bool]
"""Says whether what is about to be restored is to be compared."""


class MysqlCheck:
    """Reads what is restored, and what the slow way makes."""

    def __init__(self, place: Place, is_due: IsDue) -> None:
        self._place = place
        self.is_due = is_due

    def content(self) -> dict[str, str]:
        """All that the database holds."""
        return self._place.content()


def changes(places: MysqlPlaces, tables: Tables, caller: Caller, operation: Operation) -> bool:
    """`Tables.changes` where the application's session works.

    Raises:
        UnknownResultError: Slipstream cannot get there.
    """
    with places.at(caller) as place:
        return tables.changes(place, operation)


def redo(
    places: MysqlPlaces, tables: Tables, caller: Caller, operation: Operation, is_due: IsDue
) -> Before | None:
    """`Tables.redo` where the application's session works.

    Raises:
        UnknownResultError: The result depends on something that cannot be compared.
    """
    with places.at(caller) as place:
        return tables.redo(place, operation, MysqlCheck(place, is_due))


def caller_of(session: Session, connection: Any, onlookers: Onlookers, *, is_asked: bool) -> Caller:
    """The application's session.

    Args:
        session: Over its connection.
        connection: The driver's.
        onlookers: Who has seen its statements.
        is_asked: Whether MariaDB is asked for the session's claims, which takes as long again.

    Raises:
        UnknownResultError: It is no session of which anything can be known.
    """
    refuse_driver(connection)
    host = parameter(connection, "host") or ""
    socket = parameter(connection, "unix_socket") or ""
    if not socket and not is_local(host):
        raise UnknownResultError("a server on another machine")
    ask = _ask if "mariadb" in str(parameter(connection, "server_version")).lower() else _ask_mysql
    try:
        answer, is_busy, has_claims = ask(session, connection, onlookers, is_asked)
    except Exception as error:  # each library has its own for what a server does not know
        raise UnknownResultError("a server of another kind or version") from error
    number, database, _, server, surroundings = answer
    if database is None:
        raise UnknownResultError("a session without a database")
    if has_claims:
        raise UnknownResultError("a session that has made temporary tables, or locked tables")
    return Caller(
        address=Address(
            engine="mysql",
            database=database,
            host="" if socket else host,
            port=parameter(connection, "port") or 0,
            user=_text(parameter(connection, "user")),
            password=_text(parameter(connection, "password")),
            socket=_text(socket),
        ),
        route=route_of(connection),
        id=int(number),
        server=server,
        surroundings=surroundings,
        is_in_transaction=bool(is_busy),
        was_asked=is_asked or ask is _ask_mysql,
    )


def refuse_driver(connection: Any) -> None:
    """It must be a driver that is known, before anything is asked of its connection.

    Raises:
        UnknownResultError: It is not.
    """
    modules = [kind.__module__.partition(".")[0] for kind in type(connection).__mro__]
    if not any(module in _MODULES for module in modules):
        raise UnknownResultError(f"the driver {modules[0]}")


def _ask(
    session: Session, connection: Any, onlookers: Onlookers, is_asked: bool
) -> tuple[Any, bool, bool]:
    """What MariaDB says of a session; whether it is in a transaction, and whether it has made
    temporary tables or locked tables."""
    settings = ", ".join(f"@@{name}" for name in (*_SETTINGS, *_SETTINGS_OF_MARIADB))
    question = _QUESTION.format(settings=settings)
    claims = _CLAIMS if is_asked else "0"
    *answer, is_busy, claimed = session.rows(f"{question}, @@in_transaction, {claims}")[0]
    return answer, bool(is_busy), bool(int(claimed))


def _ask_mysql(
    session: Session, connection: Any, onlookers: Onlookers, is_asked: bool
) -> tuple[Any, bool, bool]:
    """The same of MySQL, which counts temporary tables among the others: it has none as long as it
    has made no more tables than this process has asked for."""
    settings = ", ".join(f"@@{name}" for name in (*_SETTINGS, *_SETTINGS_OF_MYSQL))
    answer = session.rows(_QUESTION.format(settings=settings))[0]
    session.run(f"{MARK} DO 0")  # PyMySQL does not take the status from an answer with rows
    is_busy = bool(parameter(connection, "server_status") & _IN_TRANSACTION)
    used = {name.lower(): int(number) for name, number in session.rows(_COUNTED)}
    made = onlookers.tables_made(route_of(connection), int(answer[0]))
    return answer, is_busy, used["com_lock_tables"] > 0 or used["com_create_table"] != made


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
