"""``slipstream durations``: look at the duration history, and tidy it up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from pytest_slipstream.cli.collecting import collect
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.running.collected import fixture_key, node_id, wider_fixtures
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.durations import (
    EPOCH,
    History,
    Machine,
    join,
    merged,
    pruned,
    recorded,
    sample,
    typical,
)
from pytest_slipstream.scheduling.machine import machine_class
from pytest_slipstream.scheduling.prediction import duration
from pytest_slipstream.settings import load

durations = typer.Typer(
    help="The duration history: what tests and wider fixtures take.", no_args_is_help=True
)


def _file() -> Path:
    return Path.cwd() / load(Path.cwd(), {}, os.environ).durations_file


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


@durations.command()
def show(
    top: Annotated[int, typer.Option(help="How many of the slowest.")] = 10,
) -> None:
    """Show the slowest tests and wider fixtures of each machine class."""
    console, history = _console(), history_file.read(_file())
    if not history.machines:
        console.print(f"no durations in {_file()}", markup=False)
    for name, machine in sorted(history.machines.items()):
        console.print(_table(name, machine, top))


def _table(name: str, machine: Machine, top: int) -> Table:
    entries = [
        (typical(samples), len(samples), "test", join(file, rest))
        for file, tests in machine.tests.items()
        for rest, samples in tests.items()
    ]
    total_s = sum(one.total_ms for one, *_ in entries) / 1000
    entries += [(typical(s), len(s), "fixture", key) for key, s in machine.fixtures.items()]
    table = Table(
        "takes", "set-up", "call", "teardown", "samples", "of", Column("name", overflow="fold"),
        title=f"{name}: {machine.count()} tests, {duration(total_s)}",
    )  # fmt: skip
    entries.sort(key=lambda entry: (-entry[0].total_ms, entry[3]))
    for one, count, kind, what in entries[:top]:
        phases = (one.total_ms, one.setup_ms, one.call_ms, one.teardown_ms)
        figures = [f"{milliseconds / 1000:.3f}" for milliseconds in phases]
        table.add_row(*figures, str(count), kind, what.replace("[", r"\["))
    return table


@durations.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Histories of other machines or branches.")],
) -> None:
    """Merge histories into the project's own; in any order, and as often as you like."""
    history = history_file.read(_file())
    for file in files:
        if not file.exists():
            raise SlipstreamError(f"there is no duration history {file}")
        history = merged(history, history_file.read(file))
    _write(history)


@durations.command()
def prune() -> None:
    """Forget the tests and the fixtures that are no longer there."""
    collected = collect(())
    ids = {node_id(item) for item in collected.every}
    fixtures = {fixture_key(one) for item in collected.every for one in wider_fixtures(item)}
    _write(pruned(history_file.read(_file()), ids, fixtures))


@durations.command("import")
def import_durations(
    file: Annotated[Path, typer.Argument(help="pytest-split's .test_durations.")],
    machine: Annotated[
        str | None, typer.Option(help="The machine class; without it, this machine's.")
    ] = None,
) -> None:
    """Import what pytest-split recorded; whatever is measured later counts as newer."""
    try:
        seconds = msgspec.json.decode(
            file.read_bytes(), type=dict[str, float] | list[tuple[str, float]]
        )
    except OSError as error:
        raise SlipstreamError(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SlipstreamError(
            f"{file} is no file of pytest-split's: {error}",
            hint="it is made by 'pytest --store-durations', and is called .test_durations",
        ) from error
    tests = {name: sample(EPOCH, (0.0, took, 0.0)) for name, took in dict(seconds).items()}
    _write(recorded(history_file.read(_file()), machine or machine_class(), tests, {}))


def _write(history: History) -> None:
    history_file.write(_file(), history)
    count = sum(machine.count() for machine in history.machines.values())
    _console().print(f"{_file()}: {count} tests", markup=False)
