"""The databases that slipstream made and has not dropped, as values; and the face of a `Stock`.

The invariant: what is alive, or does not carry slipstream's prefix, is neither dropped nor renamed.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.errors import SlipstreamError

Kind = Literal["template", "build", "slot", "kept", "other"]
_KINDS: dict[str, Kind] = {"t": "template", "b": "build", "s": "slot", "k": "kept"}


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One database of slipstream's.

    ``alive``: a slot's owner runs, a build is being made, a template is in use. ``used_at`` is
    Unix time in seconds; 0.0 where it is not known.
    """

    kind: Kind
    name: str
    address: Address
    size_bytes: int
    alive: bool = False
    database: str = ""
    fingerprint: str = ""
    used_at: float = 0.0


class Reached(Protocol):
    """A server that is held or external."""

    @property
    def maintenance_database(self) -> str:
        """The database for administrative connections."""

    def address(self, database: str) -> Address:
        """Where a database is."""


class Stock(Protocol):
    """The databases of one server, or of SQLite in one cache."""

    @property
    def title(self) -> str:
        """The product and where it is; without a password."""

    def holdings(self) -> list[Holding]:
        """All that there is, by name."""

    def drop(self, holding: Holding) -> None:
        """Drop a database that is not alive."""

    def keep(self, holding: Holding, name: str) -> Address:
        """Set a slot aside under ``name``.

        Raises:
            SlipstreamError: It is alive, and this product cannot copy what is in use.
        """

    def prune(self) -> list[str]:
        """Drop the slots and builds of dead runs; returns their names."""

    def close(self) -> None:
        """Let go."""


def kind_of(name: str) -> Kind:
    """What a name of slipstream's stands for."""
    letter, _, rest = name.removeprefix(naming.PREFIX).partition("_")
    return _KINDS.get(letter, "other") if rest else "other"


def refuse_alive(holding: Holding) -> None:
    """Raises `SlipstreamError` for a database that a run uses now."""
    if holding.alive:
        raise SlipstreamError(
            f"{holding.name} is in use by a run that is still going on",
            hint="wait until that run ends; it drops its slots itself",
        )
