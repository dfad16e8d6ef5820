"""``slipstream report``: reports of runs that are over, and their trend."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pytest_slipstream import events
from pytest_slipstream.cli.newest_run import newest_run, read_run
from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.merging import parts
from pytest_slipstream.merging.build import told
from pytest_slipstream.merging.verdict import judge
from pytest_slipstream.report import past, writing
from pytest_slipstream.report.terminal import render
from pytest_slipstream.report.trend import FEWEST, slower
from pytest_slipstream.settings import load

report = typer.Typer(help="Reports of runs that are over: HTML, trace, Markdown; the trend.")

Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        help="A file: .html, .json (a trace for Perfetto) or .md; or 'github' for its summary.",
        show_default=False,
    ),
]
_SHOWN = 20


@report.callback(invoke_without_command=True)
def one_run(
    context: typer.Context,
    output: Output = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="The run record's directory; without it, the newest.", show_default=False
        ),
    ] = None,
    trend: Annotated[bool, typer.Option("--trend", help="What became slower, since when.")] = False,
) -> None:
    """Write reports of a run; without a file, print its block."""
    if context.invoked_subcommand is not None:
        return
    if trend:
        _show_trend(Path.cwd())
        return
    _write(read_run(run or newest_run(Path.cwd())), output)


@report.command()
def merge(
    directories: Annotated[
        list[Path], typer.Argument(help="What each machine left: a directory for each.")
    ],
    output: Output = None,
) -> None:
    """Write one report of the runs that the machines of a build left."""
    durations_file = load(Path.cwd(), {}, os.environ).durations_file
    merged = Path(".slipstream", "merged")
    found = [parts.find(one, durations_file, without=merged) for one in directories]
    verdict = judge(run for part in found for run in part.runs)
    if not verdict.counted:
        raise SlipstreamError(
            f"there is no run record in {', '.join(map(str, directories))}",
            hint="a machine leaves it in .slipstream/runs, which CI must keep",
        )
    for problem in verdict.problems:
        typer.echo(f"problem: {problem}", err=True)
    happened = [event for run in verdict.counted for event in told(run)]
    happened.sort(key=lambda event: event.at)
    end = events.BuildMerged(
        at=happened[-1].at,
        exit_status=verdict.exit_status(),
        problems=verdict.problems,
        notes=verdict.notes,
    )
    _write([*happened, end], output)


def _write(happened: list[events.AnyEvent], output: list[str] | None) -> None:
    if not output:
        for line in render(happened):
            typer.echo(line)
        return
    writing.check(output)
    problems, printed = writing.write(output, happened, Path.cwd())
    typer.echo(printed, nl=False)
    if problems:
        raise SlipstreamError("; ".join(problems))


def _show_trend(here: Path) -> None:
    runs = past.read(here)
    if len(runs) < FEWEST:
        raise ConfigurationError(
            f"there are {len(runs)} past runs in {here / past.DIRECTORY}, and a trend needs "
            f"{FEWEST}",
            hint="run pytest more often",
        )
    console = Console(highlight=False, soft_wrap=True)
    found = slower(runs)
    console.print(f"{len(runs)} runs; {len(found)} became slower", markup=False)
    when = {run.name: datetime.fromtimestamp(run.at).strftime("%Y-%m-%d %H:%M") for run in runs}
    for one in found[:_SHOWN]:
        name = one.node_id or "all tests together"
        console.print(
            f"{name}: {one.before_ms:.0f} ms to {one.after_ms:.0f} ms since {when[one.since]} "
            f"({one.since})",
            markup=False,
        )
    if len(found) > _SHOWN:
        console.print(f"… and {len(found) - _SHOWN} more", markup=False)
