"""A MariaDB or MySQL server that the user runs and names by its URL.

The invariant: a server that is not on this machine is refused before anything is sent to it, and
no message ever shows the password.
"""

from __future__ import annotations

import getpass
import time
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_slipstream.databases.engines.protocol import Address, Progress, ServerInfo
from pytest_slipstream.databases.servers.mysql_binaries import parse_version
from pytest_slipstream.databases.servers.mysql_driver import pymysql_module
from pytest_slipstream.databases.urls import is_local, redact
from pytest_slipstream.errors import ConfigurationError, ServerError
from pytest_slipstream.settings import DatabaseSettings

_EXAMPLE = "mysql://user:password@localhost:3306/"
_FACTS = (
    "SELECT version(), @@version_comment, @@global.sql_mode, @@global.character_set_server, "
    "@@global.collation_server, @@global.lower_case_table_names"
)


class ExternalMysql:
    """A server by URL.

    Args:
        settings: The database's table, with the URL as ``server``.

    Raises:
        ConfigurationError: The URL cannot be read, or its host is not this machine.
    """

    kind: Literal["external"] = "external"
    maintenance_database = "information_schema"

    def __init__(self, settings: DatabaseSettings) -> None:
        self._where = parse_url(settings.server)
        if not settings.allow_remote and not is_local(self._where.host):
            raise ConfigurationError(
                f"the server {redact(settings.server)} is refused: its host "
                f"{self._where.host!r} is not this machine, and slipstream creates and drops "
                "databases on it",
                hint="set `allow_remote = true` for this database if that server is for tests",
            )

    def address(self, database: str) -> Address:
        """Where ``database`` is: the URL with another database."""
        where = self._where
        return Address(
            engine="mysql",
            database=database,
            host=where.host,
            port=where.port,
            user=where.user,
            password=where.password,
            socket_dir=where.socket_dir,
            socket=where.socket,
        )

    def open(self, progress: Progress) -> ServerInfo:
        """Connect once, to see that the server answers and what it is.

        Raises:
            ServerError: It does not answer or refuses the login.
            MissingExtraError: PyMySQL is not installed.
        """
        begin = time.perf_counter()
        facts = [str(fact) for fact in self._facts()]
        parsed = parse_version(f"{facts[0]} {facts[1]}")
        number = ".".join(map(str, parsed[1])) if parsed else facts[0]
        return ServerInfo(
            version=number,
            started=False,
            seconds=time.perf_counter() - begin,
            identity=" ".join(["external", *facts]),
        )

    def _facts(self) -> tuple[Any, ...]:
        pymysql = pymysql_module()
        where = self._where
        try:
            connection = pymysql.connect(
                host=where.host or None,
                port=where.port,
                user=where.user,
                password=where.password,
                unix_socket=where.socket or None,
                connect_timeout=10,
            )
        except (pymysql.err.Error, RuntimeError) as error:  # RuntimeError: cryptography is missing
            raise self._unreachable(error) from error
        try:
            with connection.cursor() as cursor:
                cursor.execute(_FACTS)
                row: tuple[Any, ...] = cursor.fetchone()
                return row
        finally:
            connection.close()

    def restart(self, progress: Progress) -> ServerInfo:
        """See whether the server answers again; it is not slipstream's to start."""
        return self.open(progress)

    def close(self, *, keep_running: bool = False) -> None:
        """Nothing is held."""

    def _unreachable(self, error: Exception) -> ServerError:
        where = self._where
        place = where.socket or f"{where.host}, port {where.port}"
        cause = str(error.args[-1] if error.args else error).strip().splitlines()[0]
        return ServerError(
            f"the server at {place}, user {where.user} cannot be used: {cause}",
            hint='start it, mend the URL in `server`, or use `server = "embedded"`',
        )


def parse_url(text: str) -> Address:
    """Take a server's URL apart.

    Args:
        text: ``mysql://`` or ``mariadb://``, also with ``+driver``; a socket is named by
            ``mysql://user@/?unix_socket=/run/mysqld/mysqld.sock``.

    Raises:
        ConfigurationError: It is something else.
    """
    parts = urlsplit(text)
    if parts.scheme.partition("+")[0] not in ("mysql", "mariadb"):
        raise _bad_url(text, "it does not start with mysql:// or mariadb://")
    query = parse_qs(parts.query, keep_blank_values=True)
    unknown = sorted(set(query) - {"unix_socket", "charset"})
    if unknown:
        raise _bad_url(text, f"the parameter {unknown[0]!r} is not supported; `unix_socket` is")
    try:
        port = parts.port or 3306
    except ValueError:
        raise _bad_url(text, "its port is not a number from 1 to 65535") from None
    socket = query["unix_socket"][-1] if "unix_socket" in query else ""
    return Address(
        engine="mysql",
        database=unquote(parts.path.lstrip("/")),
        host="" if socket else unquote(parts.hostname or "") or "127.0.0.1",
        port=port,
        user=unquote(parts.username or "") or getpass.getuser(),
        password=unquote(parts.password or ""),
        socket_dir=socket.rpartition("/")[0],
        socket=socket,
    )


def _bad_url(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the server {redact(text)!r} is no MySQL URL: {why}",
        hint=f'`server` is "embedded" or a URL such as {_EXAMPLE}',
    )
