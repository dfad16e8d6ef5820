"""``slipstream merge``: joins what the machines of a build left; its exit status is the build's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pytest_slipstream import events
from pytest_slipstream.merging import build, parts
from pytest_slipstream.report.build import GITHUB_LIMIT_BYTES, broken, markdown, within
from pytest_slipstream.settings import load


def merge(
    directories: Annotated[
        list[Path], typer.Argument(help="What each machine left: a directory for each.")
    ],
    output: Annotated[
        Path, typer.Option(help="The directory that is written, whole or not at all.")
    ] = Path(".slipstream/merged"),
    summary: Annotated[
        Path | None,
        typer.Option(
            help="A file to which a summary in Markdown is added.", envvar="GITHUB_STEP_SUMMARY"
        ),
    ] = None,
) -> None:
    """Join run records, JUnit files, duration histories and coverage data of CI machines.

    The exit status is the build's: 0 if all passed, 1 if something failed, 2 if the build is not
    whole: a shard is missing or did not end, or the shards were not split alike; 10 if only a
    budget was broken.
    """
    durations_file = load(Path.cwd(), {}, os.environ).durations_file
    parts.refuse_nested(directories)
    found = [parts.find(directory, durations_file, without=output) for directory in directories]
    happened = build.merge(found, output)
    if summary is not None:
        _add(summary, markdown(happened))
    end = happened[-1]
    assert isinstance(end, events.BuildMerged)
    _show(end, [one.said for one in broken(happened)], output)
    raise typer.Exit(end.exit_status)


def _add(summary: Path, text: str) -> None:
    there = summary.stat().st_size if summary.exists() else 0
    with summary.open("a", encoding="utf-8") as file:
        file.write(within(text, GITHUB_LIMIT_BYTES - there))


def _show(end: events.BuildMerged, over_budget: list[str], output: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    sums = f"{end.tests} tests, {len(end.failed)} failed, {end.skipped} skipped; "
    lines = [
        *(f"note: {note}" for note in end.notes),
        *(f"failed: {name}" for name in end.failed),
        *(f"budget broken: {said}" for said in over_budget),
        *(f"problem: {problem}" for problem in end.problems),
        f"{sums if end.tests else 'no JUnit file names a test; '}merged into {output}; "
        f"exit status {end.exit_status}",
    ]
    for line in lines:
        console.print(line, markup=False)
