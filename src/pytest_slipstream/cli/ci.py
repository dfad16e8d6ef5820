"""``slipstream ci``: writes a workflow for a CI service from the project's own configuration.

Thin: `workflow` plans, renders and keeps what was edited. The invariant: a file that slipstream did
not write is never written over.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from pytest_slipstream.cli.collecting import collect
from pytest_slipstream.cli.workflow.blocks import HEADER, read, updated
from pytest_slipstream.cli.workflow.plan import Provider, plan, without
from pytest_slipstream.cli.workflow.rendering import render
from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.running.collected import suite
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.estimates import Estimates
from pytest_slipstream.scheduling.prediction import duration
from pytest_slipstream.scheduling.shards import that_pay
from pytest_slipstream.settings import Settings, load

ci = typer.Typer(
    help="Write a workflow for a CI service from this project's configuration.",
    no_args_is_help=True,
)

MOST = 200
"""GitLab runs no more parallel jobs of one kind; GitHub 256."""

Shards = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST, help="Machines for the default lane; without it, as many as pay."
    ),
]
Start = Annotated[float, typer.Option(min=0, help="Seconds that a machine takes to start.")]
Python = Annotated[str, typer.Option(help="The Python of a file that is written first.")]
Services = Annotated[
    bool, typer.Option("--services", help="Containers in place of embedded servers.")
]
Output = Annotated[Path | None, typer.Option(help="The file.")]
Print = Annotated[bool, typer.Option("--print", help="Print the file, write nothing.")]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; fail if the file is not up to date.")
]
_PYTHON = "{}.{}".format(*sys.version_info)


@ci.command()
def github(
    shards: Shards = None,
    start: Start = 30.0,
    python: Python = _PYTHON,
    services: Services = False,
    output: Output = None,
    only_print: Print = False,
    check: Check = False,
) -> None:
    """Write a workflow for GitHub Actions."""
    target = _Target(
        "github", output or Path(".github/workflows/slipstream.yml"), only_print, check
    )
    _write(target, shards, start, python, services)


@ci.command()
def gitlab(
    shards: Shards = None,
    start: Start = 30.0,
    python: Python = _PYTHON,
    services: Services = False,
    output: Output = None,
    only_print: Print = False,
    check: Check = False,
) -> None:
    """Write a pipeline for GitLab CI."""
    target = _Target("gitlab", output or Path(".gitlab-ci.yml"), only_print, check)
    _write(target, shards, start, python, services)


class _Target(NamedTuple):
    provider: Provider
    path: Path
    only_print: bool
    check: bool


def _write(target: _Target, shards: int | None, start: float, python: str, services: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    before, newline = _content(target.path)
    old = read(before, str(target.path))
    if before and HEADER not in old.by_name and not target.only_print:
        raise ConfigurationError(
            f"{target.path} is there already, and was not written by slipstream ci",
            hint="write to another file with --output, or look at it with --print",
        )
    configured = load(Path.cwd(), {}, os.environ)
    if shards is None:
        shards = _advised(console, configured, start)
    planned = plan(Path.cwd(), configured, shards=shards, python=python, services=services)
    new = render(target.provider, without(planned, old.known - old.by_name.keys()))
    document, notes = updated(old, new) if HEADER in old.by_name else (new, [])
    for note in notes:
        console.print(f"note: {note}", markup=False)
    if target.only_print:
        typer.echo(document.text(), nl=False)
    elif document.text() == before:
        console.print(f"{target.path} is up to date", markup=False)
    elif target.check:
        raise SlipstreamError(
            f"{target.path} is not what slipstream ci {target.provider} would write",
            hint=f"slipstream ci {target.provider} --shards {shards}",
        )
    else:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        target.path.write_bytes(document.text().replace("\n", newline).encode())
        console.print(f"written to {target.path}", markup=False)


def _content(path: Path) -> tuple[str, str]:
    """A file's text, and how its lines end."""
    if not path.exists():
        return "", "\n"
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}") from error
    return text.replace("\r\n", "\n"), "\r\n" if "\r\n" in text else "\n"


def _advised(console: Console, configured: Settings, start: float) -> int:
    """As many shards as pay, by the history of the default lane's tests."""
    lane = ["--lane", configured.default_lane] if configured.lanes else []
    collected = collect(lane)
    estimates = Estimates(history_file.read(collected.history))
    planned = suite(collected.items, estimates)
    found = that_pay(planned, start, most=MOST)
    unknown = sum(not estimates.knows(test.node_id) for test in planned.tests)
    guessed = f", of which {unknown} are not in the duration history" if unknown else ""
    console.print(
        f"shards that pay: {found}, for {len(planned.tests)} tests{guessed}, "
        f"{duration(planned.total_s)} in one, where a machine takes {duration(start)} to start"
    )
    return found
