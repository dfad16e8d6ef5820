"""How database servers are found, started, shared and stopped.

An embedded server runs once for a machine's user, whatever the number of workers and runs; an
external one is only ever reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.servers.protocol import Server
from pytest_slipstream.settings import DatabaseSettings

if TYPE_CHECKING:
    from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer
    from pytest_slipstream.databases.servers.product import Product

__all__ = ["Server", "embedded_of", "of"]


def of(settings: DatabaseSettings, *, cache_dir: Path) -> Server:
    """The server that a configured database lives on; nothing is started or connected.

    Args:
        settings: The database's table; ``server`` decides between embedded and external.
        cache_dir: Where embedded servers keep their data between runs (`cache_directory`).

    Raises:
        ConfigurationError: The server's URL is not one, or is not local.
    """
    if settings.server != "embedded":
        return _external(settings)
    return embedded_of(settings, cache_dir=cache_dir)


def embedded_of(settings: DatabaseSettings, *, cache_dir: Path, run: str = "") -> EmbeddedServer:
    """An embedded server.

    Args:
        settings: Its options.
        cache_dir: As above.
        run: The testrun uid of the one run that uses it; see `EmbeddedServer`.
    """
    from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer

    return EmbeddedServer(_product(settings), cache_dir=cache_dir, tcp=settings.tcp, run=run)


def _product(settings: DatabaseSettings) -> Product[Any]:
    if settings.engine == "mysql":
        from pytest_slipstream.databases.servers.mysql_embedded import EmbeddedMysql

        return EmbeddedMysql(settings)
    from pytest_slipstream.databases.servers.postgresql_embedded import EmbeddedPostgresql

    return EmbeddedPostgresql(settings)


def _external(settings: DatabaseSettings) -> Server:
    if settings.engine == "mysql":
        from pytest_slipstream.databases.servers.mysql_external import ExternalMysql

        return ExternalMysql(settings)
    from pytest_slipstream.databases.servers.postgresql_external import ExternalPostgresql

    return ExternalPostgresql(settings)
