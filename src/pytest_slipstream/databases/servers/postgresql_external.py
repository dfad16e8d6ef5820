"""PostgreSQL by URL."""

from __future__ import annotations

import getpass
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers.external import ExternalServer, bad_url, unreachable
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module
from pytest_slipstream.errors import ConfigurationError

_EXAMPLE = "postgresql://user:password@localhost:5432/postgres"
_FACTS = "select version(), datcollate from pg_database where datname = 'template1'"


class ExternalPostgresql(ExternalServer):
    """A PostgreSQL server by URL."""

    @property
    def maintenance_database(self) -> str:
        """The URL's database, or ``postgres``."""
        return self._where.database

    @staticmethod
    def _parse(url: str) -> Address:
        return parse_url(url)

    def _version_and_identity(self) -> tuple[str, str]:
        psycopg = psycopg_module()
        where = self._where
        try:
            connection = psycopg.connect(
                host=where.host,
                hostaddr="",  # not the environment's: this host has been found to be local
                port=where.port,
                user=where.user,
                password=where.password or None,
                dbname=where.database,
                application_name="slipstream",
                connect_timeout=10,
            )
        except psycopg.OperationalError as error:
            server = f"PostgreSQL at {where.host}, port {where.port}, user {where.user}"
            raise unreachable(server, str(error)) from error
        with connection:
            row = connection.execute(_FACTS).fetchone()
        version, collation = row or ("", "")
        number = version.split(" ")[1] if " " in version else version
        return number, f"{version} {collation}"


def parse_url(text: str) -> Address:
    """Take a server's URL apart.

    Args:
        text: ``postgresql://`` or ``postgres://``, also with ``+driver``; the host may be a
            socket directory: ``postgresql://user@/postgres?host=/run/postgresql&port=5433``.

    Raises:
        ConfigurationError: It is something else.
    """
    parts = urlsplit(text)
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise _bad_url(text, "it does not start with postgresql://")
    query = parse_qs(parts.query, keep_blank_values=True)
    unknown = sorted(set(query) - {"host", "port"})
    if unknown:
        raise _bad_url(
            text, f"the parameter {unknown[0]!r} is not supported; `host` and `port` are"
        )
    try:
        port = int(query["port"][-1]) if "port" in query else parts.port or 5432
    except ValueError:
        raise _bad_url(text, "its port is not a number from 1 to 65535") from None
    host = query["host"][-1] if "host" in query else unquote(parts.hostname or "")
    # Without a host libpq would try a directory that was compiled in: not the same everywhere.
    host = host or "localhost"
    return Address(
        engine="postgresql",
        database=unquote(parts.path.lstrip("/")) or "postgres",
        host=host,
        port=port,
        user=unquote(parts.username or "") or getpass.getuser(),
        password=unquote(parts.password or ""),
        socket_dir=host if host.startswith("/") else "",
    )


def _bad_url(url: str, why: str) -> ConfigurationError:
    return bad_url("PostgreSQL", url, why, example=_EXAMPLE)
