"""What slipstream has made on a machine and not dropped: for ``slipstream db``.

Each product has a `Stock` of databases: that of a server, or of SQLite's files in the cache. The
invariant: looking changes nothing; and what is alive, or does not carry slipstream's prefix, is
neither dropped nor renamed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pytest_slipstream.databases import naming, servers
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers import embedded
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

Kind = Literal["template", "build", "slot", "kept", "other"]
_KINDS: dict[str, Kind] = {"t": "template", "b": "build", "s": "slot", "k": "kept"}
_KEPT_NAME = re.compile(r"[a-z0-9_]{1,40}\Z")


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


def kept_as(holding: Holding, wanted: str | None) -> str:
    """The name under which a slot is kept.

    Args:
        holding: The slot.
        wanted: What the user calls it; None for the slot's own name.

    Raises:
        SlipstreamError: It is no slot, or the name cannot be used.
    """
    parsed = naming.parse_slot_name(holding.name)
    if parsed is None:
        raise SlipstreamError(
            f"{holding.name} is a {holding.kind} database, and only a slot can be kept"
        )
    if wanted is None:
        return f"{naming.PREFIX}k_{parsed.rest}_{parsed.owner}"[:63]
    if not _KEPT_NAME.match(wanted):
        raise SlipstreamError(
            f"{wanted!r} cannot name a kept database, because it must have 1 to 40 lower-case "
            "letters, digits and '_'"
        )
    return f"{naming.PREFIX}k_{wanted}"


def find(stocks: list[Stock], name: str) -> tuple[Stock, Holding]:
    """The database of that name.

    Raises:
        SlipstreamError: It is not slipstream's, or there is none.
    """
    if not name.startswith(naming.PREFIX):
        raise SlipstreamError(
            f"{name!r} is not a database of slipstream's, because it does not start with "
            f"{naming.PREFIX!r}; it is left alone"
        )
    for stock in stocks:
        for holding in stock.holdings():
            if holding.name == name:
                return stock, holding
    looked = "; ".join(stock.title for stock in stocks) or "nothing: no server runs"
    raise SlipstreamError(
        f"there is no database {name!r}; looked at {looked}",
        hint="`slipstream db list` shows what there is",
    )


def refuse_alive(holding: Holding) -> None:
    """Raises `SlipstreamError` for a database that a run uses now."""
    if holding.alive:
        raise SlipstreamError(
            f"{holding.name} is in use by a run that is still going on",
            hint="wait until that run ends; it drops its slots itself",
        )


@contextmanager
def open_stocks(
    cache_dir: Path, databases: Mapping[str, DatabaseSettings], *, start: bool
) -> Iterator[list[Stock]]:
    """Everything that can be reached.

    Args:
        cache_dir: The cache directory.
        databases: The project's configured databases; may be empty.
        start: Also start embedded servers that have stopped: those that the project, or a project
            without server options, uses. They stop again at the end.
    """
    with ExitStack() as opened:
        stocks: list[Stock] = []
        for stock in _sqlite(cache_dir), *_postgresql(cache_dir, databases, opened, start=start):
            opened.callback(stock.close)
            stocks.append(stock)
        yield stocks


def _sqlite(cache_dir: Path) -> Stock:
    from pytest_slipstream.databases.engines.sqlite.inventory import SqliteStock

    return SqliteStock(cache_dir)


def _postgresql(
    cache_dir: Path, databases: Mapping[str, DatabaseSettings], opened: ExitStack, *, start: bool
) -> Iterator[Stock]:
    entries = {entry.directory: entry for entry in embedded.list_servers(cache_dir)}
    external = [one for one in databases.values() if one.server != "embedded"]
    if not external and not entries:
        return
    from pytest_slipstream.databases.engines.postgresql.inventory import PostgresqlStock
    from pytest_slipstream.databases.servers.visiting import RunningServer

    for url in dict.fromkeys(one.server for one in external):
        server = servers.postgresql_server(
            next(one for one in external if one.server == url), cache_dir=cache_dir
        )
        opened.callback(server.close)
        server.open(lambda message: None)
        yield PostgresqlStock(f"PostgreSQL at {_place(server)}", server)
    if start:
        for server in _stopped(cache_dir, databases, entries):
            opened.callback(server.close)
            server.open(lambda message: None)
    for directory, entry in entries.items():
        visited = RunningServer(entry)
        if visited.hold():
            opened.callback(visited.close)
            yield PostgresqlStock(f"{entry.label}, {directory.name}", visited)


def _place(server: servers.Server) -> str:
    address = server.address(server.maintenance_database)
    return f"{address.host}:{address.port}"


def _stopped(
    cache_dir: Path,
    databases: Mapping[str, DatabaseSettings],
    entries: Mapping[Path, embedded.ServerEntry],
) -> Iterator[servers.Server]:
    """Servers that do not run, have data that is still good, and whose options are known."""
    from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer

    known = [one for one in databases.values() if one.engine == "postgresql"]
    seen: set[Path] = set()
    for settings in [*known, DatabaseSettings(engine="postgresql")]:
        if settings.server != "embedded":
            continue
        server = servers.postgresql_server(settings, cache_dir=cache_dir)
        if not isinstance(server, EmbeddedServer) or server.directory in seen:
            continue
        seen.add(server.directory)
        entry = entries.get(server.directory)
        if entry is not None and entry.pid is None and entry.stale is None:
            yield server


def shell_command(address: Address) -> tuple[list[str], dict[str, str]]:
    """The product's own shell: its arguments, and the environment it needs on top."""
    if address.engine == "sqlite":
        return ["sqlite3", address.path], {}
    where = ["-h", address.host, "-p", str(address.port), "-U", address.user]
    password = {"PGPASSWORD": address.password} if address.password else {}
    return ["psql", *where, address.database], password


def age_s(used_at: float, now: float) -> float | None:
    """Seconds since; None where it is not known, 0.0 when the clock was set back."""
    return max(0.0, now - used_at) if used_at else None


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when it is gone."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
