"""``slipstream init``: look at a project and write its ``[tool.slipstream]`` table.

Thin: `discovery` reads and decides; here it is shown and written. The invariant: what stands in
``pyproject.toml`` stays byte for byte, and what is added decodes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pytest_slipstream import settings
from pytest_slipstream.cli.discovery import choice, project, proposal
from pytest_slipstream.cli.discovery.fixtures import Superfluous
from pytest_slipstream.cli.discovery.proposal import Findings, Proposal
from pytest_slipstream.errors import ConfigurationError, SlipstreamError

Directory = Annotated[
    Path, typer.Argument(help="The project.", exists=True, file_okay=False, resolve_path=True)
]


def init(
    directory: Directory = Path(),
    engine: Annotated[
        str | None, typer.Option(help="postgresql, mysql or sqlite, where it cannot be told.")
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="What makes the schema, where it cannot be told.")
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the configuration, write nothing.")
    ] = False,
) -> None:
    """Look at this project and write its configuration into pyproject.toml."""
    if engine not in (None, *proposal.ENGINES):
        raise ConfigurationError(
            f"--engine is {engine!r}; valid are: {', '.join(proposal.ENGINES)}"
        )
    console = Console(highlight=False, soft_wrap=True)
    read = project.read(directory)
    configured = "slipstream" in read.settings.get("tool", {})
    if configured and not only_print:
        raise ConfigurationError(
            f"{directory / 'pyproject.toml'} has [tool.slipstream] already; it is left as it is",
            hint="`slipstream init --print` shows what would be written",
        )
    proposed = _decide(console, read, {"engine": engine, "schema": schema})
    if only_print:
        check(extended(b"", proposed.table))
        console.print("would write:", style="bold")
        console.print(proposed.table, style="cyan", markup=False)
    else:
        _write(console, directory / "pyproject.toml", proposed.table)


def _decide(console: Console, read: project.Project, chosen: dict[str, str | None]) -> Proposal:
    """Show what was found; ask what could not be told where somebody is there to answer."""
    findings = proposal.look(read)
    proposed = proposal.propose(findings, **chosen)
    _show(console, findings, proposed)
    if proposed.open and sys.stdin.isatty():
        chosen = {**chosen, **_ask(proposed)}
        proposed = proposal.propose(findings, **chosen)
    if proposed.open:
        raise SlipstreamError(
            "nothing was written, because not everything could be told",
            hint="run `slipstream init` again with "
            + " ".join(f"{one.option} …" for one in proposed.open),
        )
    if proposed.unreached is not None:
        raise SlipstreamError(
            f"nothing was written: {proposed.unreached}",
            hint="read host and port from variables, or a whole URL from one such as DATABASE_URL, "
            "and run `slipstream init` again",
        )
    if doubt := choice.doubt(read, proposed.schema):
        console.print(f"look at: {doubt}", style="bold", markup=False)
    return proposed


def _write(console: Console, path: Path, table: str) -> None:
    content = extended(path.read_bytes() if path.exists() else b"", table)
    check(content)
    path.write_bytes(content)
    console.print(f"written to {path}:", style="bold", markup=False)
    console.print(table, style="cyan", markup=False)
    console.print("Next: run [bold]pytest[/]; the summary at its end says what was done.")


def _ask(proposed: Proposal) -> dict[str, str]:
    """Ask for what could not be told."""
    answers = {}
    for undecided in proposed.open:
        valid = undecided.choices if undecided.option == "--engine" else ()
        answer = ""
        while not answer or (valid and answer not in valid):
            answer = typer.prompt(undecided.option).strip()
        answers[undecided.option.removeprefix("--")] = answer
    return answers


def extended(content: bytes, table: str) -> bytes:
    """A TOML file with a table after all that was there, which stays as it was."""
    newline = b"\r\n" if b"\r\n" in content else b"\n"
    added = table.encode().replace(b"\n", newline)
    if not content:
        return added
    gap = newline if content.endswith(newline) else newline * 2
    return content + gap + added


def check(content: bytes) -> None:
    """See that the file would be accepted.

    Raises:
        ConfigurationError: It would not.
    """
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "pyproject.toml").write_bytes(content)
        settings.load(Path(directory), {}, {})


def _show(console: Console, findings: Findings, proposed: Proposal) -> None:
    console.print("found:", style="bold")
    for reason in proposed.reasons:
        where = f"   {reason.why}" if reason.why else ""
        console.print(f"  {reason.what:<10} {reason.value}{where}", markup=False)
    if findings.superfluous:
        console.print("no longer needed:", style="bold")
    for one in findings.superfluous:
        console.print(f"  {one.place} {describe(one)}", markup=False)
    if proposed.open:
        console.print("could not tell:", style="bold")
    for undecided in proposed.open:
        choices = f"; choices: {', '.join(undecided.choices)}" if undecided.choices else ""
        console.print(f"  {undecided.option}: {undecided.problem}{choices}", markup=False)
    if proposed.notes:
        console.print("look at:", style="bold")
    for note in proposed.notes:
        console.print(f"  {note}", markup=False)
    console.print()


def describe(one: Superfluous) -> str:
    """What a fixture does, and what of it can go."""
    does = " and ".join(one.does)
    if one.decorates:
        return f"{one.name} {does}: it can be deleted, and with it every @{one.name} above a test"
    if one.gives:
        return f"{one.name} {does}: that part can go; keep what it gives to the tests"
    return f"{one.name} {does}: it can be deleted"
