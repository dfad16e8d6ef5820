"""What a product tells so that its server can be started and shared: the face of `embedded_server`.

The invariant: what a data directory depends on is all in `Product.key`, so two runs that would
need different servers never meet in one.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers import directories
from pytest_slipstream.databases.servers.directories import Origin
from pytest_slipstream.databases.servers.endpoints import LOOPBACK
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

State = Literal["starting", "ready", "stopping"]


class Build(Protocol):
    """A product's programs on this machine."""

    @property
    def program(self) -> Path:
        """The server's program."""

    @property
    def title(self) -> str:
        """The product for people: ``PostgreSQL``."""

    @property
    def number(self) -> str:
        """The version as people write it: ``18.6``."""

    @property
    def identity(self) -> str:
        """What equal builds share, wherever they are installed, and others do not."""


BuildT = TypeVar("BuildT", bound=Build)


class Product(ABC, Generic[BuildT]):
    """One product in one version with one set of options.

    Args:
        settings: The database's table.
        environ: The environment, for the search of programs. That there are none is an error at
            the start only, so that a run without a database test needs no server.
    """

    engine: ClassVar[str]
    user: ClassVar[str] = "slipstream"
    maintenance_database: ClassVar[str]
    default_port: ClassVar[int]
    reserved_options: ClassVar[tuple[str, ...]]
    """The server's options that are slipstream's own."""
    stop: ClassVar[tuple[tuple[str, float], ...]]
    """The signals that stop the server, each with the seconds it is given."""
    says_ready_early: ClassVar[bool] = False
    """Whether it may end with an error of its configuration after it has said so."""

    def __init__(self, settings: DatabaseSettings, environ: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._found: BuildT | SlipstreamError
        try:
            self._found = self._find(environ)
        except SlipstreamError as error:
            self._found = error

    @property
    def build(self) -> BuildT:
        """The programs.

        Raises:
            ServerError: There are none.
        """
        if isinstance(self._found, SlipstreamError):
            raise self._found
        return self._found

    @property
    def key(self) -> str:
        """The name of the server's directory: product, version and a digest of all that a running
        server was started with. Needs no programs.
        """
        options = sorted(self._settings.server_options.items())
        facts = [*self._facts(), repr(options), str(self._settings.tcp), str(os.geteuid())]
        version = "none"
        if not isinstance(self._found, SlipstreamError):
            version = self._found.number
            facts.append(self._found.identity)
        return f"{self.engine}-{version}-{directories.digest(*facts)}"

    @property
    def label(self) -> str:
        """Product and version for people: ``PostgreSQL 18.6``."""
        return f"{self.build.title} {self.build.number}"

    @property
    def version(self) -> str:
        """The version alone."""
        return self.build.number

    @property
    def client_library(self) -> Path | None:
        """The library in C with which programs speak to it, if it lies beside the server's own."""
        return None

    def check(self) -> None:
        """See that the server could be started.

        Raises:
            ConfigurationError: An option is slipstream's own.
            ServerError: There are no programs.
        """
        # Servers take - for _ in the name of an option.
        reserved = {name.replace("-", "_") for name in self.reserved_options}
        for name in sorted(self._settings.server_options):
            if name.replace("-", "_") in reserved:
                raise ConfigurationError(
                    f"`server_options` sets {name!r}, which slipstream sets itself; reserved are "
                    f"{', '.join(self.reserved_options)}",
                    hint=f"remove {name!r}; `tcp = true` makes the server listen on {LOOPBACK}",
                )
        _ = self.build

    def origin(self, store: Path | None = None) -> Origin:
        """What is made now with these programs is made from; a server's data lies in ``store``."""
        program = self.build.program
        return Origin(
            label=self.label,
            boot=directories.boot_id(),
            program=str(program),
            program_bytes=program.stat().st_size,
            store=str(store or ""),
        )

    @property
    @abstractmethod
    def identity(self) -> str:
        """All of the server that a template depends on."""

    @property
    @abstractmethod
    def cluster(self) -> str:
        """What `make_cluster` makes, for people: ``a PostgreSQL 18.6 cluster``."""

    @abstractmethod
    def _find(self, environ: Mapping[str, str]) -> BuildT:
        """The programs to use."""

    @abstractmethod
    def _facts(self) -> list[str]:
        """What this product alone starts a server with."""

    @classmethod
    @abstractmethod
    def socket_name(cls, port: int) -> str:
        """The socket's name in its directory."""

    @abstractmethod
    def cluster_facts(self, password: str) -> list[str]:
        """What `make_cluster` depends on, besides version and account."""

    @abstractmethod
    def make_cluster(self, cluster: Path, *, home: Path, account: Account, password: str) -> None:
        """Make data of which every new server gets a copy.

        Args:
            cluster: Where: an empty directory that belongs to ``account``, in a private one.
            home: Where servers of ``account`` live.
            account: As whom the server will run.
            password: For TCP.

        Raises:
            ServerError: It cannot be made.
        """

    @abstractmethod
    def forget(self, data: Path, socket: Path) -> None:
        """Remove what a server that has died without a word left of its process id."""

    @abstractmethod
    def command(
        self, data: Path, *, home: Path, account: Account, socket_dir: Path, port: int, tcp: bool
    ) -> list[str]:
        """The command that runs the server in the foreground."""

    @abstractmethod
    def state(self, data: Path, pid: int) -> State:
        """How far the server with the process id is."""

    @abstractmethod
    def accepts(self, address: Address) -> bool:
        """Whether a connection to the running server is accepted now."""

    @abstractmethod
    def transient(self, log: str) -> bool:
        """Whether what the server said before it ended goes away by itself."""

    @abstractmethod
    def failure(self, log: str) -> Mapping[str, str]:
        """From a failed start's log: the ``cause``, and a ``hint`` where there is one."""
