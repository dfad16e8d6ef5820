"""What a product tells so that its server can be started and shared: the face of `embedded_server`.

The invariant: what a data directory depends on is all in `Product.key`, so two runs that would
need different servers never meet in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from pytest_slipstream.databases.engines.protocol import Address, Progress
from pytest_slipstream.databases.servers.directories import Origin
from pytest_slipstream.databases.servers.privileges import Account

State = Literal["starting", "ready", "stopping"]


class Product(Protocol):
    """One product in one version with one set of options."""

    engine: str
    user: str
    maintenance_database: str
    default_port: int
    stop: tuple[tuple[str, float], ...]
    """The signals that stop the server, each with the seconds it is given."""

    @property
    def key(self) -> str:
        """The name of the server's directory; needs no binaries."""

    @property
    def label(self) -> str:
        """Product and version for people: ``PostgreSQL 18.6``."""

    @property
    def version(self) -> str:
        """The version alone."""

    @property
    def identity(self) -> str:
        """All of the server that a template depends on."""

    def check(self) -> None:
        """See that the server could be started.

        Raises:
            ServerError: There are no binaries, or an option is slipstream's own.
        """

    def socket_name(self, port: int) -> str:
        """The socket's name in its directory."""

    def origin(self, boot: str, store: Path) -> Origin:
        """What a data directory in ``store`` is made from."""

    def make_data(
        self, data: Path, *, home: Path, account: Account, password: str, progress: Progress
    ) -> None:
        """Fill the empty directory ``data``, which belongs to ``account``.

        Raises:
            ServerError: It cannot be made.
        """

    def forget(self, data: Path, socket: Path) -> None:
        """Remove what a server that has died without a word left of its process id."""

    def command(
        self, data: Path, *, home: Path, account: Account, socket_dir: Path, port: int, tcp: bool
    ) -> list[str]:
        """The command that runs the server in the foreground."""

    def state(self, data: Path, pid: int) -> State:
        """How far the server with the process id is."""

    def accepts(self, address: Address) -> bool:
        """Whether a connection to the running server is accepted now."""

    def transient(self, log: str) -> bool:
        """Whether what the server said before it ended goes away by itself."""

    def failure(self, log: str) -> Mapping[str, str]:
        """From a failed start's log: the ``cause``, and a ``hint`` where there is one."""
