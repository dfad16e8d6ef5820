"""``slipstream measure``: the suite's seconds and bytes, several runs, all shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pytest_slipstream.cli.measuring import progress, say
from pytest_slipstream.measure import measurement_file, measurement_table, sides
from pytest_slipstream.measure.measuring import measure as take
from pytest_slipstream.measure.timetable import timetable

Limit = Annotated[float, typer.Option(min=1, help="Seconds after which a run hangs, and is ended.")]
Name = Annotated[
    str | None, typer.Option(help="What the measurement is called; without it, the time.")
]
WarmUp = Annotated[int, typer.Option(min=0, help="Runs before it that do not count.")]
Arguments = Annotated[
    list[str] | None, typer.Argument(help="For pytest, after a --.", show_default=False)
]


def measure(
    pytest_arguments: Arguments = None,
    runs: Annotated[int, typer.Option(min=1, help="How often the suite is run.")] = 5,
    warmup: WarmUp = 1,
    limit: Limit = 3600.0,
    name: Name = None,
) -> None:
    """Run pytest several times, and print what it took as Markdown."""
    here = Path.cwd()
    name = name or measurement_file.new_name()
    path = measurement_file.free_path(here, name)
    project = sides.Project(
        directory=here, environ=os.environ, arguments=tuple(pytest_arguments or ())
    )
    turns = timetable(1, warmup=warmup, runs=runs)
    with progress(turns, ["measuring"]) as show:
        (measured,) = take([sides.working_copy(project)], turns, limit_s=limit, show=show)
    typer.echo(measurement_table.measured(measured), nl=False)
    measurement_file.write(path, measured)
    say(f"kept as {name}: {path}")
