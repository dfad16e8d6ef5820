"""``slipstream queue``: a build in the live queue, as it stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.urls import redacted
from pytest_slipstream.queue.values import Status
from pytest_slipstream.scheduling.prediction import duration
from pytest_slipstream.settings import load

queue = typer.Typer(help="The live queue.", no_args_is_help=True)


@queue.callback()
def _one_command_of_several() -> None:
    """The live queue."""


@queue.command()
def status(
    build: Annotated[str, typer.Argument(help="The build's id.")],
    url: Annotated[
        str | None, typer.Option("--queue", help="The queue's URL; else the configured one.")
    ] = None,
) -> None:
    """Show a build's progress, its machines and their leases."""
    url = url or load(Path.cwd(), {}, os.environ).queue
    if url is None:
        raise ConfigurationError(
            "no queue is configured", hint="slipstream queue status BUILD --queue redis://host:6379"
        )
    connection = Build(url, build, machine="", identity="")
    try:
        found = connection.status()
    finally:
        connection.close()
    if found is None:
        raise SlipstreamError(
            f"there is no build {build!r} in the queue {redacted(url)}: it did not begin, or its "
            "keys expired",
            hint="pytest says at its start which build it joins",
        )
    console = Console(highlight=False, soft_wrap=True)
    console.print(_table(found))
    console.print(_described(found), markup=False)


def _table(found: Status) -> Table:
    table = Table("machine", "state", "heard of", "tests", "failed", "atoms held")
    for machine in found.machines:
        overdue = machine.silent_s > found.lease_s and machine.state not in ("left", "lost")
        table.add_row(
            machine.name,
            "silent" if overdue else machine.state,
            f"{duration(machine.silent_s)} ago",
            str(machine.tests),
            str(machine.failed),
            str(machine.held),
        )
    return table


def _described(found: Status) -> str:
    return (
        f"{found.reported} of {found.tests} tests reported, {found.failed} failed, "
        f"{found.requeued} run again, {found.flaky} flaky; {found.done} of {found.atoms} atoms "
        f"done; began {duration(found.age_s)} ago; a lease is {duration(found.lease_s)}"
    )
