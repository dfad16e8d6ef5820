"""A server that the user runs and names by its URL.

The invariant: a server that is not on this machine is refused before anything is sent to it, and
no message ever shows the password.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

import msgspec

from pytest_slipstream.databases.engines.protocol import Address, Progress, ServerInfo
from pytest_slipstream.databases.urls import is_local, redact
from pytest_slipstream.errors import ConfigurationError, ServerError
from pytest_slipstream.settings import DatabaseSettings

_FULL = ("too many clients", "connection slots are reserved", "too many connections")
"""What servers say that take no further connection."""


class ExternalServer(ABC):
    """A server by URL.

    Args:
        settings: The database's table, with the URL as ``server``.

    Raises:
        ConfigurationError: The URL cannot be read, or its host is not this machine.
    """

    kind: Literal["external"] = "external"
    client_library: Path | None = None

    def __init__(self, settings: DatabaseSettings) -> None:
        self._where = self._parse(settings.server)
        if not settings.allow_remote and not is_local(self._where.host):
            raise ConfigurationError(
                f"the server {redact(settings.server)} is refused: its host "
                f"{self._where.host!r} is not this machine, and slipstream creates and drops "
                "databases on it",
                hint="set `allow_remote = true` for this database if that server is for tests",
            )

    def address(self, database: str) -> Address:
        """Where ``database`` is: the URL with another database."""
        return msgspec.structs.replace(self._where, database=database)

    def open(self, progress: Progress) -> ServerInfo:
        """Connect once, to see that the server answers and what it is.

        Raises:
            ServerError: It does not answer or refuses the login.
            MissingExtraError: The driver is not installed.
        """
        begin = time.perf_counter()
        version, identity = self._version_and_identity()
        return ServerInfo(
            version=version,
            started=False,
            seconds=time.perf_counter() - begin,
            identity=f"external {identity}",
        )

    def restart(self, progress: Progress) -> ServerInfo:
        """See whether the server answers again; it is not slipstream's to start."""
        return self.open(progress)

    def close(self, *, keep_running: bool = False) -> None:  # noqa: B027 nobody overrides it
        """Nothing is held."""

    @property
    @abstractmethod
    def maintenance_database(self) -> str:
        """The database for administrative connections."""

    @staticmethod
    @abstractmethod
    def _parse(url: str) -> Address:
        """Take the server's URL apart."""

    @abstractmethod
    def _version_and_identity(self) -> tuple[str, str]:
        """Connect, and ask for the version and for all that a template depends on."""


def unreachable(server: str, said: str) -> ServerError:
    """The error for a server that does not answer or refuses the login."""
    cause = said.strip().partition("\n")[0] or "no reason given"
    hint = 'start it, mend the URL in `server`, or use `server = "embedded"`'
    if any(text in said.lower() for text in _FULL):
        hint = "use fewer workers, or raise the server's max_connections"
    return ServerError(f"{server} cannot be used: {cause}", hint=hint)


def bad_url(product: str, url: str, why: str, *, example: str) -> ConfigurationError:
    """The error for a ``server`` that is no URL of the product."""
    return ConfigurationError(
        f"the server {redact(url)!r} is no {product} URL: {why}",
        hint=f'`server` is "embedded" or a URL such as {example}',
    )
