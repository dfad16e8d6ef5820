"""From what a person names, a revision or a command, to what is run.

The invariant: a worktree that was made is removed, also after Ctrl-C; the user's own checkout, its
index and its branches are never touched.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.measure import git, process
from pytest_slipstream.measure.single_run import Side

_PREFIX = "slipstream-compare-"


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides have in common.

    Args:
        directory: Where the commands are run; for revisions, the same directory in a worktree.
        environ: Their environment.
        arguments: For pytest.
        setup: A shell command that makes a revision ready, or "".
        limit_s: The seconds that it may take.
    """

    directory: Path
    environ: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    setup: str = ""
    limit_s: float = 3600.0


def working_copy(project: Project) -> Side:
    """The project as it stands, run by the pytest beside this slipstream."""
    return Side(
        shown=shlex.join(["pytest", *project.arguments]),
        command=(*_pytest(Path(sys.executable)), *project.arguments),
        directory=project.directory,
        environ=dict(project.environ),
    )


@contextmanager
def named(given: str, project: Project) -> Iterator[Side]:
    """A side by what the user wrote: a git revision, or else a command.

    Raises:
        ConfigurationError: It is neither.
        SlipstreamError: The revision cannot be checked out or made ready.
    """
    revision = resolve(project.directory, given)
    if revision is None:
        yield _command(given, project)
        return
    with _checked_out(project.directory, revision) as worktree:
        yield _in_worktree(given, project, worktree)


def resolve(directory: Path, given: str) -> str | None:
    """The commit that a text names; None where it names none."""
    if not given or given.startswith("-") or len(given.split()) != 1:
        return None
    return git.ask(directory, "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}")


def _command(given: str, project: Project) -> Side:
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise ConfigurationError(f"the command {given!r} cannot be read: {error}") from error
    program = shutil.which(words[0], path=project.environ.get("PATH")) if words else None
    if program is None:
        raise ConfigurationError(
            f"{given!r} is neither a git revision nor a command: there is no program "
            f"{(words or [''])[0]!r}",
            hint="name a commit, branch or tag of a git repository, or write a command in quotes",
        )
    if project.arguments:
        raise ConfigurationError(
            f"{shlex.join(project.arguments)!r} is given for pytest after the --, and the command "
            f"{given!r} would not get it",
            hint="write it into the command",
        )
    return Side(
        shown=given,
        command=(program, *words[1:]),
        directory=project.directory,
        environ=dict(project.environ),
    )


def _in_worktree(given: str, project: Project, worktree: Path) -> Side:
    inside = git.ask(project.directory, "rev-parse", "--show-prefix") or ""
    checkout = Path(git.ask(project.directory, "rev-parse", "--show-toplevel") or "/")
    directory = worktree / inside
    if not directory.is_dir():
        raise SlipstreamError(f"there is no directory {inside} in the revision {given}")
    if project.setup:
        _set_up(given, project, directory)
    # The worktree has no bytecode yet; with this variable, every run would compile it again.
    inherited = {k: v for k, v in project.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    python, environ = _interpreter(directory, worktree, inherited)
    return Side(
        shown=f"{shlex.join(['pytest', *project.arguments])} at {given}",
        command=(*_pytest(python), *project.arguments),
        directory=directory,
        environ=environ,
        checkout=checkout,
    )


def _set_up(given: str, project: Project, directory: Path) -> None:
    ended = process.run(
        ["/bin/sh", "-c", project.setup],
        directory=directory,
        environ=project.environ,
        limit_s=project.limit_s,
        watch=lambda pid, elapsed_s: None,
    )
    if ended.exit_status != 0:
        raise SlipstreamError(
            f"the set-up of {given} ended with exit status {ended.exit_status}"
            f"{process.last_lines(ended.tail)}"
        )


def _interpreter(
    directory: Path, worktree: Path, environ: Mapping[str, str]
) -> tuple[Path, dict[str, str]]:
    """The worktree's own environment if the set-up made one, or this one, importing from there."""
    for environment in (directory / ".venv", worktree / ".venv"):
        python = environment / "bin" / "python"
        if python.exists():
            path = os.pathsep.join((str(python.parent), environ.get("PATH", os.defpath)))
            return python, {**environ, "VIRTUAL_ENV": str(environment), "PATH": path}
    # An editable installation leads to the user's own checkout: these come before it.
    roots = [root for root in (directory / "src", directory) if root.is_dir()]
    searched = [*map(str, roots), *filter(None, [environ.get("PYTHONPATH")])]
    return Path(sys.executable), {**environ, "PYTHONPATH": os.pathsep.join(searched)}


def _pytest(python: Path) -> tuple[str, ...]:
    script = python.with_name("pytest")
    return (str(script),) if script.exists() else (str(python), "-m", "pytest")


@contextmanager
def _checked_out(directory: Path, revision: str) -> Iterator[Path]:
    _sweep(directory)
    parent = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
    worktree = parent / revision[:12]
    try:
        add = ("worktree", "add", "--quiet", "--detach", str(worktree), revision)
        git.order(directory, "-c", f"core.hooksPath={os.devnull}", *add)
        yield worktree
    finally:
        _remove(directory, worktree)


def _sweep(directory: Path) -> None:
    """Remove the worktrees of comparisons that were killed."""
    for line in (git.ask(directory, "worktree", "list", "--porcelain") or "").splitlines():
        worktree = Path(line.removeprefix("worktree "))
        name = worktree.parent.name
        if line.startswith("worktree ") and name.startswith(_PREFIX):
            pid = name.removeprefix(_PREFIX).partition("-")[0]
            if pid.isdigit() and not psutil.pid_exists(int(pid)):
                _remove(directory, worktree)


def _remove(directory: Path, worktree: Path) -> None:
    git.ask(directory, "worktree", "remove", "--force", "--force", str(worktree))
    shutil.rmtree(worktree.parent, ignore_errors=True)
