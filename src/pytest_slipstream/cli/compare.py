"""``slipstream compare``: two stored measurements, or two commands taken in turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from pytest_slipstream.cli.measure import Limit, Name, WarmUp
from pytest_slipstream.cli.measuring import progress, say
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.measure import comparison_table, measurement_file, sides
from pytest_slipstream.measure.comparability import differences
from pytest_slipstream.measure.measuring import measure as take
from pytest_slipstream.measure.timetable import Turn, timetable
from pytest_slipstream.measure.values import Measurement
from pytest_slipstream.measure.verdicts import judge, require_statistics

SIDES = ("baseline", "candidate")


Given = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[A B | -- PYTEST_ARGUMENTS]",
        help="Two stored measurements, by name or path; with --baseline or --candidate, arguments "
        "for pytest.",
        show_default=False,
    ),
]
Named = Annotated[
    str | None,
    typer.Option(help="A git revision, or a command; without it, pytest on what is here."),
]
Pairs = Annotated[int, typer.Option(min=1, help="How often each side is run, in turns.")]
Setup = Annotated[
    str, typer.Option(help="A shell command that makes the worktree of a revision ready.")
]


def compare(
    arguments: Given = None,
    baseline: Named = None,
    candidate: Named = None,
    pairs: Pairs = 8,
    warmup: WarmUp = 1,
    setup: Setup = "",
    limit: Limit = 3600.0,
    name: Name = None,
) -> None:
    """Tell whether B is faster than A: of stored measurements, or of commands taken in turns."""
    require_statistics()
    given = tuple(arguments or ())
    if baseline is None and candidate is None:
        _print(*_stored(given))
        return
    project = sides.Project(
        directory=Path.cwd(), environ=os.environ, arguments=given, setup=setup, limit_s=limit
    )
    name = name or measurement_file.new_name()
    paths = [measurement_file.free_path(project.directory, f"{name}-{side}") for side in SIDES]
    both = _in_turns(project, (baseline, candidate), timetable(2, warmup=warmup, runs=pairs))
    _print(*both)
    for path, measured in zip(paths, both, strict=True):
        measurement_file.write(path, measured)
    say(f"kept as {' and '.join(path.stem for path in paths)}")


def _print(before: Measurement, after: Measurement) -> None:
    found = differences(before, after)
    verdict = judge(before, after, found)
    typer.echo(comparison_table.compared(before, after, found, verdict), nl=False)


def _stored(given: tuple[str, ...]) -> tuple[Measurement, Measurement]:
    if len(given) != 2:
        raise ConfigurationError(
            f"two stored measurements can be compared, and {len(given)} are given",
            hint="name two, or use `--baseline` and `--candidate`",
        )
    here = Path.cwd()
    before, after = (measurement_file.read(measurement_file.find(here, one)) for one in given)
    return before, after


def _in_turns(
    project: sides.Project, given: tuple[str | None, str | None], turns: Sequence[Turn]
) -> tuple[Measurement, Measurement]:
    with progress(turns, SIDES) as show, ExitStack() as stack:
        both = [
            stack.enter_context(sides.named(one, project))
            if one is not None
            else sides.working_copy(project)
            for one in given
        ]
        if project.setup and all(side.checkout is None for side in both):
            raise ConfigurationError(
                "--setup is for the worktrees of revisions, and neither side is a revision",
                hint="leave `--setup` out, or name a git revision",
            )
        before, after = take(both, turns, limit_s=project.limit_s, show=show)
    return before, after
