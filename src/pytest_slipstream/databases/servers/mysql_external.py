"""MariaDB or MySQL by URL."""

from __future__ import annotations

import getpass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers.external import ExternalServer, bad_url, unreachable
from pytest_slipstream.databases.servers.mysql_binaries import parse_version
from pytest_slipstream.databases.servers.mysql_driver import pymysql_module
from pytest_slipstream.errors import ConfigurationError

_EXAMPLE = "mysql://user:password@localhost:3306/"
_FACTS = (
    "SELECT version(), @@version_comment, @@global.sql_mode, @@global.character_set_server, "
    "@@global.collation_server, @@global.lower_case_table_names"
)


class ExternalMysql(ExternalServer):
    """A MariaDB or MySQL server by URL."""

    maintenance_database = "information_schema"

    @staticmethod
    def _parse(url: str) -> Address:
        return parse_url(url)

    def _version_and_identity(self) -> tuple[str, str]:
        facts = [str(fact) for fact in self._facts()]
        parsed = parse_version(f"{facts[0]} {facts[1]}")
        number = ".".join(map(str, parsed[1])) if parsed else facts[0]
        return number, " ".join(facts)

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
            place = where.socket or f"{where.host}, port {where.port}"
            said = str(error.args[-1] if error.args else error)
            raise unreachable(f"the server at {place}, user {where.user}", said) from error
        try:
            with connection.cursor() as cursor:
                cursor.execute(_FACTS)
                row: tuple[Any, ...] = cursor.fetchone()
                return row
        finally:
            connection.close()


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


def _bad_url(url: str, why: str) -> ConfigurationError:
    return bad_url("MySQL", url, why, example=_EXAMPLE)
