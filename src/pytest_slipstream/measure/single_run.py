"""One run of one command, with everything that is seen of it.

The invariant: each run of a command gets the same environment, and one that tells nothing, because
it ran no test or not to the end, is an error and never a figure.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from pytest_slipstream import settings
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.servers import embedded
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.measure import outcomes, outcomes_plugin, process
from pytest_slipstream.measure.memory import MemoryWatch, Servers
from pytest_slipstream.measure.outcomes import Noted
from pytest_slipstream.measure.recorded import Recorded, recorded
from pytest_slipstream.measure.values import MemoryKind, Run

PLUGIN = "slipstream_outcomes_plugin"
_OF_PYTEST_ITSELF = (0, 1)  # all passed, some failed: ExitCode, pytest's reference


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be measured.

    Args:
        shown: As a person would type it.
        command: The program and its arguments.
        directory: Where it is run.
        environ: Its environment.
        checkout: A directory from which it must import nothing.
    """

    shown: str
    command: tuple[str, ...]
    directory: Path
    environ: dict[str, str]
    checkout: Path | None = None


class Seen(msgspec.Struct, frozen=True):
    """One run, and what all runs of a side are expected to have in common."""

    run: Run
    noted: Noted
    recorded: Recorded
    memory_kind: MemoryKind
    server_memory_kind: MemoryKind


def run_once(side: Side, *, limit_s: float, watch: Callable[[float], None]) -> Seen:
    """Run a side's command.

    Args:
        side: What.
        limit_s: Seconds after which it is ended.
        watch: Called with the seconds so far, twice a second at most.

    Raises:
        SlipstreamError: It cannot be run, hung, ran no test, or not to its end.
    """
    memory = MemoryWatch(_servers(side))

    def look(pid: int, elapsed_s: float) -> None:
        memory.look(pid)
        watch(elapsed_s)

    with tempfile.TemporaryDirectory(prefix="slipstream-measure-") as scratch:
        ended = process.run(
            side.command,
            directory=side.directory,
            environ=_environ(side, Path(scratch)),
            limit_s=limit_s,
            watch=look,
        )
        noted = outcomes.read(Path(scratch))
    _check(side, ended, noted)
    found = recorded(noted.sessions)
    run = Run(
        started_at=ended.started_at,
        wall_s=ended.wall_s,
        user_s=ended.user_s,
        system_s=ended.system_s,
        exit_status=ended.exit_status,
        peak_bytes=memory.own.seen_bytes,
        server_peak_bytes=memory.of_servers.seen_bytes,
        composition=outcomes.composition(noted.tests, found.lanes),
        tests=outcomes.test_seconds(noted.tests),
    )
    return Seen(run, noted, found, memory.own.kind, memory.of_servers.kind)


def _environ(side: Side, scratch: Path) -> dict[str, str]:
    """The side's environment, with the variables that bring the plugin in, which takes them out."""
    shutil.copyfile(Path(outcomes_plugin.__file__), scratch / f"{PLUGIN}.py")
    added = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(scratch), side.environ.get("PYTHONPATH")))),
        "PYTEST_PLUGINS": ",".join(filter(None, (side.environ.get("PYTEST_PLUGINS"), PLUGIN))),
    }
    told = {
        "directory": str(scratch),
        "checkout": str(side.checkout) if side.checkout is not None else None,
        "environ": {name: side.environ.get(name) for name in added},
    }
    return side.environ | added | {outcomes_plugin.VARIABLE: json.dumps(told)}


def _servers(side: Side) -> Servers:
    """How the database servers of a side's project are found."""
    try:
        configured = settings.load(side.directory, {}, side.environ)
        if not any(one.engine != "sqlite" for one in configured.every_database.values()):
            return lambda users: []
        cache_dir = cache_directory(configured.cache_dir, side.environ)
    except SlipstreamError:
        return lambda users: []  # the run itself will say what is wrong
    return lambda users: embedded.serving(cache_dir, users)


def _check(side: Side, ended: process.Ended, noted: Noted) -> None:
    said = process.last_lines(ended.tail)
    foreign = sorted({name for end in noted.ends for name in end.foreign})
    if foreign:
        raise SlipstreamError(
            f"{side.shown} imported {', '.join(foreign)} from the working copy {side.checkout}, "
            f"and not from the revision in {side.directory}",
            hint="give the revision an environment of its own, such as by `--setup 'python -m venv "
            ".venv && .venv/bin/pip install -e .'`",
        )
    if len(noted.ends) < len(noted.sessions):
        raise SlipstreamError(
            f"{side.shown} ended with exit status {ended.exit_status} in the middle of its tests"
            f"{said}"
        )
    wrong = [end.status for end in noted.ends if end.status not in _OF_PYTEST_ITSELF]
    if noted.tests and wrong:
        raise SlipstreamError(
            f"{side.shown} did not run its tests to the end, pytest's exit status is {wrong[0]}"
            f"{said}"
        )
    if not noted.tests:
        raise SlipstreamError(
            f"{side.shown} ran no test, its exit status is {ended.exit_status}{said}",
            hint="pytest tells above why it had none to run"
            if noted.sessions
            else "the command must run pytest, in the environment that it is given",
        )
