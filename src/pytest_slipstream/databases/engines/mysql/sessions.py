"""Connections to MySQL and MariaDB.

The invariant: a session of slipstream's own behaves the same whatever the server, the account or
the database sets as defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from pymysql.converters import escape_string

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers.mysql_binaries import Flavour, parse_version

Row = tuple[Any, ...]
REGISTRY = f"{naming.PREFIX}registry"
"""The database of slipstream's own on a server."""

# Zero is a key like any other, and rows are put back whatever they were checked against.
_NEUTRAL = {
    "sql_mode": "'NO_AUTO_VALUE_ON_ZERO'",
    "foreign_key_checks": "0",
    "unique_checks": "1",
    "sql_safe_updates": "0",
    "sql_quote_show_create": "1",
    "sql_select_limit": "DEFAULT",
    "max_join_size": "DEFAULT",
    "autocommit": "1",
    "time_zone": "'+00:00'",
    "group_concat_max_len": "16777216",
    "wait_timeout": "31536000",
}
_OF_FLAVOUR = {
    "mariadb": {
        "check_constraint_checks": "0",
        "system_versioning_insert_history": "1",
        "max_statement_time": "0",
    },
    "mysql": {
        "information_schema_stats_expiry": "0",
        "max_execution_time": "0",
        "sql_generate_invisible_primary_key": "0",
        "sql_require_primary_key": "0",
    },
}
_UNKNOWN_VARIABLE = 1193
_NO_RIGHT = 1227
# The server is gone, the connection is lost, it was killed, the server shuts down.
_LOST = (2006, 2013, 2055, 1053, 1927, 3169, 0)
# Lock wait timeout, deadlock, MariaDB's statement interrupted by NOWAIT.
_LOCKED = (1205, 1213)


def connect(address: Address) -> Any:
    """A plain connection, with nothing set."""
    return pymysql.connect(database=address.database, **_where(address))


def is_locked(error: pymysql.err.MySQLError) -> bool:
    """Whether a statement failed because another session holds a lock."""
    return _number(error) in _LOCKED


def is_lost(error: pymysql.err.MySQLError) -> bool:
    """Whether the connection is gone."""
    return isinstance(error, pymysql.err.InterfaceError) or _number(error) in _LOST


def text(error: Exception) -> str:
    """What the server said, without its number."""
    return str(error.args[-1] if error.args else error).strip() or type(error).__name__


def quoted(*names: str) -> str:
    """An identifier, qualified if there are more than one."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def literal(value: str) -> str:
    """A text literal, for a session of slipstream's own."""
    return f"'{escape_string(value)}'"


class Session:
    """A session of slipstream's own, in no database: every name is qualified.

    Args:
        address: The server's.
        patience_s: How long it waits for a lock; MySQL waits for one second at least.
    """

    def __init__(self, address: Address, *, patience_s: int = 0) -> None:
        self._connection = pymysql.connect(
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            program_name="slipstream",
            **_where(address),
        )
        try:
            ((version, comment, self.id),) = self.rows(
                "SELECT version(), @@version_comment, connection_id()"
            )
            parsed = parse_version(f"{version} {comment}")
            self.flavour: Flavour = parsed[0] if parsed else "mysql"
            self.version = parsed[1] if parsed else (0, 0, 0)
            patience = str(patience_s if self.flavour == "mariadb" else max(patience_s, 1))
            locks = dict.fromkeys(("innodb_lock_wait_timeout", "lock_wait_timeout"), patience)
            self._set_all({**_NEUTRAL, **_OF_FLAVOUR[self.flavour], **locks})
            self.run(["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"])
        except BaseException:
            self.close()
            raise

    def _set_all(self, variables: dict[str, str]) -> None:
        for name, value in variables.items():
            try:
                self.run([f"SET SESSION {name} = {value}"])
            except pymysql.err.MySQLError as error:
                if _number(error) not in (_UNKNOWN_VARIABLE, _NO_RIGHT):
                    raise  # else an older version, which has no such thing, or a rare default

    def rows(self, query: str, *values: object) -> list[Row]:
        """The rows of one statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def run(self, statements: Iterable[str]) -> list[int]:
        """Run statements in one round trip; how many rows each of them changed.

        Raises:
            pymysql.err.MySQLError: One failed; those before it have taken effect.
        """
        return [count for count, _ in self.results(statements)]

    def results(self, statements: Iterable[str]) -> list[tuple[int, Sequence[Row]]]:
        """Run statements in one round trip; for each, the rows it changed or found."""
        text = ";\n".join(statements)
        if not text:
            return []
        found: list[tuple[int, Sequence[Row]]] = []
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            while True:
                found.append((cursor.rowcount, cursor.fetchall()))
                if not cursor.nextset():
                    return found

    def abandon(self) -> None:
        """End the session without a word, since it may be in the midst of an answer."""
        self._connection._force_close()  # type: ignore[attr-defined]

    def close(self) -> None:
        """End the session; also one that is lost."""
        if self._connection.open:
            try:
                self._connection.close()
            except pymysql.err.Error:
                return


def _where(address: Address) -> dict[str, Any]:
    where: dict[str, Any] = {"user": address.user, "password": address.password}
    where |= {"charset": "utf8mb4", "connect_timeout": 10}
    if address.socket and (not address.host or address.host.startswith("/")):
        # PyMySQL loads all certificates for each connection otherwise, also where no TLS is used.
        return {**where, "unix_socket": address.socket, "ssl_disabled": True}
    return {**where, "host": address.host, "port": address.port}


def _number(error: Exception) -> int:
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0
