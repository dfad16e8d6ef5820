"""How database servers are found, started, shared and stopped.

An embedded server runs once for a machine's user, whatever the number of workers and runs; an
external one is only ever reached.
"""

from __future__ import annotations

from pathlib import Path

from pytest_slipstream.databases.servers.protocol import Server
from pytest_slipstream.settings import DatabaseSettings

__all__ = ["Server", "mysql_server", "of", "postgresql_server"]


def of(settings: DatabaseSettings, *, cache_dir: Path) -> Server:
    """The server that a configured database lives on, whatever its product."""
    make = mysql_server if settings.engine == "mysql" else postgresql_server
    return make(settings, cache_dir=cache_dir)


def postgresql_server(settings: DatabaseSettings, *, cache_dir: Path) -> Server:
    """The PostgreSQL server that a configured database lives on.

    Args:
        settings: The database's table; ``server`` decides between embedded and external.
        cache_dir: Where embedded servers keep their data between runs (`cache_directory`).

    Raises:
        ConfigurationError: The server's URL is not one, or is not local.
    """
    if settings.server == "embedded":
        from pytest_slipstream.databases.servers.postgresql_embedded import embedded_postgresql

        return embedded_postgresql(settings, cache_dir=cache_dir)
    from pytest_slipstream.databases.servers.postgresql_external import ExternalPostgresql

    return ExternalPostgresql(settings)


def mysql_server(settings: DatabaseSettings, *, cache_dir: Path) -> Server:
    """The MariaDB or MySQL server that a configured database lives on.

    Args:
        settings: The database's table; ``server`` decides between embedded and external.
        cache_dir: Where embedded servers keep their data between runs (`cache_directory`).

    Raises:
        ConfigurationError: The server's URL is not one, or is not local.
    """
    if settings.server == "embedded":
        from pytest_slipstream.databases.servers.mysql_embedded import embedded_mysql

        return embedded_mysql(settings, cache_dir=cache_dir)
    from pytest_slipstream.databases.servers.mysql_external import ExternalMysql

    return ExternalMysql(settings)
