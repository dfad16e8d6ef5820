"""``slipstream db``: look at what slipstream keeps on this machine, and tidy it up.

Thin: `databases.inventory` finds and judges; here it is only shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from pytest_slipstream import settings
from pytest_slipstream.databases import inventory, urls
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.holdings import Holding, Stock
from pytest_slipstream.databases.servers import embedded
from pytest_slipstream.databases.servers.room import with_room
from pytest_slipstream.errors import SlipstreamError

db = typer.Typer(
    help="The servers, templates, slots and kept databases of this machine and this project.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The database, as `slipstream db list` shows it.")]


def _project() -> tuple[settings.Settings, Path]:
    configured = settings.load(Path.cwd(), {}, os.environ)
    return configured, cache_directory(configured.cache_dir, os.environ)


@contextmanager
def _stocks(*, start: bool = True) -> Iterator[list[Stock]]:
    configured, cache_dir = _project()
    databases = {
        name: with_room(database, configured.concurrency)
        for name, database in configured.every_database.items()
    }
    aside = Console(stderr=True, highlight=False, soft_wrap=True)
    with inventory.open_stocks(
        cache_dir,
        databases,
        start=start,
        note=lambda text: aside.print(f"note: {text}", markup=False),
    ) as stocks:
        yield stocks


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


@db.command("list")
def list_databases() -> None:
    """Show the servers, and the databases on each."""
    console = _console()
    _, cache_dir = _project()
    console.print(f"cache: {cache_dir}", markup=False)
    entries = embedded.list_servers(cache_dir)
    console.print(_server_table(entries) if entries else "no embedded servers")
    with _stocks(start=False) as stocks:
        for stock in stocks:
            holdings = stock.holdings()
            console.print(
                _database_table(stock.title, holdings) if holdings else f"{stock.title}: nothing"
            )


def _server_table(entries: list[embedded.ServerEntry]) -> Table:
    table = Table("server", "version", "process", "users", "size", title="embedded servers")
    for entry in entries:
        table.add_row(
            entry.name,
            entry.label,
            str(entry.pid) if entry.pid else entry.stale or "stopped",
            ", ".join(map(str, entry.users)) or "none",
            decimal(entry.size_bytes),
        )
    return table


def _database_table(title: str, holdings: list[Holding]) -> Table:
    table = Table("kind", Column("database", no_wrap=True), "used", "size", title=title)
    for one in holdings:
        state = _state(one)
        kind = f"{one.kind} ({state})" if state else one.kind
        table.add_row(kind, one.name, age(one.used_at, time.time()), decimal(one.size_bytes))
    return table


def _state(holding: Holding) -> str:
    if holding.kind in ("slot", "build"):
        return "live" if holding.alive else "orphaned"
    return "in use" if holding.alive else ""


def age(used_at: float, now: float) -> str:
    """How long ago, in the largest unit; "" where it is not known."""
    if not used_at:
        return ""
    seconds = max(0, int(now - used_at))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "just now"


@db.command()
def keep(
    name: Name,
    called: Annotated[
        str | None, typer.Option("--as", help="What the kept database is called.")
    ] = None,
) -> None:
    """Set a slot aside, so that no run drops it."""
    with _stocks() as stocks:
        stock, holding = inventory.find(stocks, name)
        address = stock.keep(holding, inventory.kept_as(holding, called))
    console = _console()
    console.print(f"kept as {address.database}", markup=False)
    console.print(f"slipstream db shell {address.database}", markup=False)


@db.command()
def drop(name: Name) -> None:
    """Drop a database of slipstream's that no run uses."""
    with _stocks() as stocks:
        stock, holding = inventory.find(stocks, name)
        stock.drop(holding)
    _console().print(f"dropped {name} ({stock.title})", markup=False)


@db.command()
def prune(
    kept: Annotated[bool, typer.Option("--kept", help="Also drop the kept databases.")] = False,
) -> None:
    """Drop what dead runs left, and stop servers that nobody uses. Never a live run's."""
    done = []
    with _stocks() as stocks:
        for stock in stocks:
            done += [f"dropped {name} ({stock.title})" for name in stock.prune()]
            for holding in stock.holdings() if kept else ():
                if holding.kind == "kept":
                    stock.drop(holding)
                    done.append(f"dropped {holding.name} ({stock.title})")
    done += embedded.prune(_project()[1])
    _console().print("\n".join(done) or "nothing to remove", markup=False)


@db.command()
def stop(
    force: Annotated[bool, typer.Option("--force", help="Also servers that runs use now.")] = False,
) -> None:
    """Stop the embedded servers; their templates stay."""
    console, (_, cache_dir) = _console(), _project()
    running = [entry for entry in embedded.list_servers(cache_dir) if entry.pid is not None]
    refused: list[SlipstreamError] = []
    for entry in running:
        try:
            if embedded.stop_server(cache_dir, entry.name, force=force):
                console.print(f"stopped {entry.label} ({entry.name})", markup=False)
        except SlipstreamError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    if not running:
        console.print("no embedded server runs")


@db.command()
def shell(
    name: Annotated[
        str | None, typer.Argument(help="The database; the only kept one if not given.")
    ] = None,
) -> None:
    """Open a database in psql, mariadb, mysql or sqlite3; without them, print how to reach it."""
    with _stocks() as stocks:
        holding = inventory.find(stocks, name or inventory.only_kept(stocks))[1]
        command, environ = inventory.shell_command(holding.address)
        if shutil.which(command[0]):
            code = subprocess.run(command, env={**os.environ, **environ}, check=False).returncode
            raise typer.Exit(code)
        console = _console()
        console.print(f"{command[0]} is not installed; the database is at", markup=False)
        console.print(urls.url(holding.address), markup=False)
        console.print(urls.shell(holding.address), markup=False)
