"""What a database server is to the engine that uses it.

The invariant: `Server.address` is the same before, during and after `Server.open`, so that the
environment can carry a URL before anything has been started.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from pytest_slipstream.databases.engines.protocol import Address, Progress, ServerInfo


class Server(Protocol):
    """A server of one product, embedded or external, as one process sees it."""

    @property
    def kind(self) -> Literal["embedded", "external"]:
        """Who starts and stops it: slipstream, or the user."""

    @property
    def maintenance_database(self) -> str:
        """The database for administrative connections: always there, never a test's."""

    @property
    def client_library(self) -> Path | None:
        """The library in C with which programs speak to it, if it lies beside the server's own."""

    def address(self, database: str) -> Address:
        """Where ``database`` is or will be. Nothing is started or connected."""

    def open(self, progress: Progress) -> ServerInfo:
        """Start or reach the server and hold it for this process until `close`.

        Raises:
            ServerError: It cannot be started or reached.
        """

    def restart(self, progress: Progress) -> ServerInfo:
        """Have a server that was found dead in mid-run run again; whoever comes first starts it.

        Raises:
            ServerError: It does not start again, or it is external and does not answer.
        """

    def close(self, *, keep_running: bool = False) -> None:
        """Let go of the server; an embedded one stops when its last user leaves.

        Args:
            keep_running: It does not stop, because somebody wants to look at a kept database.
        """
