"""The command ``slipstream``: one module a command, each thin.

The invariant: what slipstream raises on purpose is shown as ``error:`` and ``hint:`` lines, never
as a traceback; exit code 4 for a wrong configuration or command line, 1 for what went wrong.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from pytest_slipstream import __version__
from pytest_slipstream.cli.budget import budget
from pytest_slipstream.cli.ci import ci
from pytest_slipstream.cli.compare import compare
from pytest_slipstream.cli.db import db
from pytest_slipstream.cli.demo import demo
from pytest_slipstream.cli.durations import durations
from pytest_slipstream.cli.init import init
from pytest_slipstream.cli.measure import measure
from pytest_slipstream.cli.merge import merge
from pytest_slipstream.cli.queue import queue
from pytest_slipstream.cli.report import report
from pytest_slipstream.cli.shards import shards
from pytest_slipstream.errors import ConfigurationError, SlipstreamError

__all__ = ["app", "main"]

app = typer.Typer(
    name="slipstream",
    help="A clean, real database for every test, at the price of a rollback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(init)
app.command()(measure)
app.command()(compare)
app.command()(shards)
app.command()(merge)
app.add_typer(budget, name="budget")
app.add_typer(report, name="report")
app.add_typer(ci, name="ci")
app.add_typer(db, name="db")
app.add_typer(durations, name="durations")
app.add_typer(queue, name="queue")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slipstream {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """A clean, real database for every test, at the price of a rollback."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SlipstreamError as error:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print("[bold red]error:[/]", end=" ")
        console.print(error.message, markup=False)
        if error.hint is not None:
            console.print("[bold cyan]hint:[/]", end=" ")
            console.print(error.hint, markup=False)
        sys.exit(4 if isinstance(error, ConfigurationError) else 1)
