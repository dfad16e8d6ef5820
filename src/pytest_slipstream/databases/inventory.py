"""What slipstream has made on a machine and not dropped: for ``slipstream db``.

Each product has a `Stock` of databases: that of a server, or of SQLite's files in the cache. The
invariant: looking changes nothing but that, where it is wished, a stopped server runs meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytest_slipstream.databases import naming, servers, urls
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.engines.sqlite.inventory import SqliteStock
from pytest_slipstream.databases.holdings import Holding, Reached, Stock
from pytest_slipstream.databases.servers import embedded
from pytest_slipstream.databases.servers.mysql_driver import pymysql_module
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module
from pytest_slipstream.errors import MissingExtraError, SlipstreamError
from pytest_slipstream.settings import DatabaseSettings, EngineName

_TITLES: Mapping[EngineName, str] = {"postgresql": "PostgreSQL", "mysql": "MySQL or MariaDB"}
_DRIVERS = {"postgresql": psycopg_module, "mysql": pymysql_module}
_KEPT_NAME = re.compile(r"[a-z0-9_]{1,40}\Z")

Note = Callable[[str], None]


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


@contextmanager
def open_stocks(
    cache_dir: Path, databases: Mapping[str, DatabaseSettings], *, start: bool, note: Note
) -> Iterator[list[Stock]]:
    """Everything that can be reached.

    Args:
        cache_dir: The cache directory.
        databases: The project's configured databases; may be empty.
        start: Also start stopped embedded servers that the project does not use, if they have no
            options of their own. Those of the project, or without one those that have no options,
            are started in any case. All stop again at the end.
        note: Told of each embedded server that is not looked at, and why.
    """
    with ExitStack() as opened:
        stocks: list[Stock] = []
        for stock in (
            SqliteStock(cache_dir),
            *_on_servers(cache_dir, databases, opened, start=start, note=note),
        ):
            opened.callback(stock.close)
            stocks.append(stock)
        yield stocks


def _on_servers(
    cache_dir: Path,
    databases: Mapping[str, DatabaseSettings],
    opened: ExitStack,
    *,
    start: bool,
    note: Note,
) -> Iterator[Stock]:
    from pytest_slipstream.databases.servers.visiting import RunningServer, engine_of

    external = {one.server: one for one in databases.values() if one.server != "embedded"}
    for settings in external.values():
        server = servers.of(settings, cache_dir=cache_dir)
        opened.callback(server.close)
        server.open(lambda message: None)
        yield _stock(settings.engine, f"{_TITLES[settings.engine]} at {_place(server)}", server)
    entries = {entry.directory: entry for entry in _readable(cache_dir, note)}
    for server in _stopped(cache_dir, databases, entries, others=start):
        opened.callback(server.close)
        try:
            server.open(lambda message: None)
        except SlipstreamError as error:  # the others can be looked at all the same
            note(f"a server cannot be started: {error}")
    for entry in entries.values():
        visited = RunningServer(entry)
        if visited.hold():
            opened.callback(visited.close)
            yield _stock(engine_of(entry), f"{entry.label}, {entry.name}", visited)
        elif entry.stale is None:
            note(f"{entry.label}, {entry.name} is stopped, and was not looked at")


def _readable(cache_dir: Path, note: Note) -> Iterator[embedded.ServerEntry]:
    """The embedded servers whose driver is installed."""
    from pytest_slipstream.databases.servers.visiting import engine_of

    for entry in embedded.list_servers(cache_dir):
        try:
            _DRIVERS[engine_of(entry)]()
        except MissingExtraError as error:
            note(f"{entry.label}, {entry.name} was not looked at: {error}")
        else:
            yield entry


def _stock(engine: str, title: str, server: Reached) -> Stock:
    _DRIVERS[engine]()
    if engine == "mysql":
        from pytest_slipstream.databases.engines.mysql.inventory import MysqlStock

        return MysqlStock(title, server)
    from pytest_slipstream.databases.engines.postgresql.inventory import PostgresqlStock

    return PostgresqlStock(title, server)


def _place(server: servers.Server) -> str:
    address = server.address(server.maintenance_database)
    return address.socket or f"{address.host}:{address.port}"


def _stopped(
    cache_dir: Path,
    databases: Mapping[str, DatabaseSettings],
    entries: Mapping[Path, embedded.ServerEntry],
    *,
    others: bool,
) -> Iterator[servers.Server]:
    """Servers that do not run, have data that is still good, and whose options are known."""
    from pytest_slipstream.databases.servers.embedded_server import EmbeddedServer

    known = [one for one in databases.values() if one.engine in _TITLES]
    seen: set[Path] = set()
    if others or not databases:
        known += [DatabaseSettings(engine=engine) for engine in _TITLES]
    for settings in known:
        if settings.server != "embedded":
            continue
        server = servers.of(settings, cache_dir=cache_dir)
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
    if address.engine == "mysql":
        command, secret = urls.mysql_shell(address)
        if not shutil.which(command[0]) and shutil.which("mysql"):
            command[0] = "mysql"
        return command, secret
    where = ["-h", address.host, "-p", str(address.port), "-U", address.user]
    password = {"PGPASSWORD": address.password} if address.password else {}
    return ["psql", *where, address.database], password


def only_kept(stocks: list[Stock]) -> str:
    """The name of the kept database, if there is exactly one.

    Raises:
        SlipstreamError: There is none, or more than one.
    """
    kept = [one.name for stock in stocks for one in stock.holdings() if one.kind == "kept"]
    if len(kept) == 1:
        return kept[0]
    if not kept:
        raise SlipstreamError(
            "there is no kept database", hint="run pytest with `--slipstream-keep`"
        )
    raise SlipstreamError(f"there are {len(kept)} kept databases, name one: {', '.join(kept)}")
