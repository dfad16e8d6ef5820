"""An embedded server that runs, as somebody sees it who did not configure it: ``slipstream db``.

The invariant: while it is held, it does not stop; whoever leaves last stops it, also a visitor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers import directories, endpoints, stores
from pytest_slipstream.databases.servers.embedded import ServerEntry
from pytest_slipstream.databases.servers.mysql_embedded import EmbeddedMysql
from pytest_slipstream.databases.servers.postgresql_embedded import EmbeddedPostgresql
from pytest_slipstream.databases.servers.product import Product
from pytest_slipstream.databases.servers.sharing import Sharing

_PRODUCTS: Mapping[str, type[Product[Any]]] = {
    product.engine: product for product in (EmbeddedMysql, EmbeddedPostgresql)
}


def engine_of(entry: ServerEntry) -> str:
    """The engine's name, with which the server's begins."""
    return entry.name.partition("-")[0]


class RunningServer:
    """One process's hold on a server that `embedded.list_servers` found."""

    def __init__(self, entry: ServerEntry) -> None:
        self.directory = entry.directory
        self._product = _PRODUCTS[engine_of(entry)]
        self._socket_name = self._product.socket_name(self._product.default_port)
        self.maintenance_database = self._product.maintenance_database
        self._sharing = Sharing(entry.directory)

    def hold(self) -> bool:
        """Keep it running until `close`; False when it has stopped meanwhile."""
        with self._sharing.alone(lambda message: None):
            origin = directories.read_origin(self.directory)
            if origin is None or stores.process_id(Path(origin.store)) is None:
                return False
            self._sharing.join()
        return True

    def address(self, database: str) -> Address:
        """Where a database is, by the server's socket."""
        port = endpoints.read_port(self.directory / "port") or self._product.default_port
        socket_dir = endpoints.socket_directory(self.directory, self._socket_name)
        return Address(
            engine=self._product.engine,
            database=database,
            host=str(socket_dir),
            port=port,
            user=self._product.user,
            socket_dir=str(socket_dir),
            socket=str(socket_dir / self._socket_name),
        )

    def close(self) -> None:
        """Let go; the last user stops the server."""
        if not self._sharing.joined:
            return
        with self._sharing.alone(lambda message: None):
            self._sharing.leave()
            origin = directories.read_origin(self.directory)
            if origin is not None and not self._sharing.users():
                stores.stop_in(Path(origin.store))
