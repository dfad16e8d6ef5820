"""A PostgreSQL server that the user runs and names by its URL.

The invariant: a server that is not on this machine is refused before anything is sent to it, and
no message ever shows the password.
"""

from __future__ import annotations

import getpass
import time
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_slipstream.databases.engines.protocol import Address, Progress, ServerInfo
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module
from pytest_slipstream.databases.urls import is_local, redact
from pytest_slipstream.errors import ConfigurationError, ServerError
from pytest_slipstream.settings import DatabaseSettings

_EXAMPLE = "postgresql://user:password@localhost:5432/postgres"
_FACTS = "select version(), datcollate from pg_database where datname = 'template1'"


class ExternalPostgresql:
    """A server by URL.

    Args:
        settings: The database's table, with the URL as ``server``.

    Raises:
        ConfigurationError: The URL cannot be read, or its host is not this machine.
    """

    kind: Literal["external"] = "external"

    def __init__(self, settings: DatabaseSettings) -> None:
        self._where = parse_url(settings.server)
        if not settings.allow_remote and not is_local(self._where.host):
            raise ConfigurationError(
                f"the server {redact(settings.server)} is refused: its host "
                f"{self._where.host!r} is not this machine, and slipstream creates and drops "
                "databases on it",
                hint="set `allow_remote = true` for this database if that server is for tests",
            )

    @property
    def maintenance_database(self) -> str:
        """The URL's database, or ``postgres``."""
        return self._where.database

    def address(self, database: str) -> Address:
        """Where ``database`` is: the URL with another database."""
        where = self._where
        return Address(
            engine="postgresql",
            database=database,
            host=where.host,
            port=where.port,
            user=where.user,
            password=where.password,
            socket_dir=where.socket_dir,
        )

    def open(self, progress: Progress) -> ServerInfo:
        """Connect once, to see that the server answers and what it is.

        Raises:
            ServerError: It does not answer or refuses the login.
            MissingExtraError: psycopg is not installed.
        """
        begin = time.perf_counter()
        psycopg = psycopg_module()
        where = self._where
        try:
            connection = psycopg.connect(
                host=where.host,
                port=where.port,
                user=where.user,
                password=where.password or None,
                dbname=where.database,
                application_name="slipstream",
                connect_timeout=10,
            )
        except psycopg.OperationalError as error:
            raise self._unreachable(error) from error
        with connection:
            row = connection.execute(_FACTS).fetchone()
        version, collation = row or ("", "")
        number = version.split(" ")[1] if " " in version else version
        return ServerInfo(
            version=number,
            started=False,
            seconds=time.perf_counter() - begin,
            identity=f"external {version} {collation}",
        )

    def restart(self, progress: Progress) -> ServerInfo:
        """See whether the server answers again; it is not slipstream's to start."""
        return self.open(progress)

    def close(self, *, keep_running: bool = False) -> None:
        """Nothing is held."""

    def _unreachable(self, error: Exception) -> ServerError:
        where = self._where
        cause = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        return ServerError(
            f"PostgreSQL at {where.host}, port {where.port}, user {where.user} cannot be used: "
            f"{cause}",
            hint='start it, mend the URL in `server`, or use `server = "embedded"`',
        )


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


def _bad_url(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the server {redact(text)!r} is no PostgreSQL URL: {why}",
        hint=f'`server` is "embedded" or a URL such as {_EXAMPLE}',
    )
