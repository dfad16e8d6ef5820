"""Finds what the machines of a build left in their directories.

The invariant: what looks like a part of the build and cannot be read is an error that names it,
never left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import msgspec

from pytest_slipstream import events, record
from pytest_slipstream.errors import ConfigurationError, SlipstreamError
from pytest_slipstream.scheduling.shards import Shard, parse

_SQLITE = b"SQLite format 3\0"
_LOOKED_AT_BYTES = 1024
_E = TypeVar("_E", bound=events.Event)


class MachineRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run on one machine, by its record.

    Args:
        directory: The record's.
        started: Of the process that reports.
        chosen: Which shard it was; None for a run that was not sharded.
        joined: Which build's queue it pulled from; None for a run that pulled from none.
        left: What it reported for that build; None if it did not come so far.
        exit_status: pytest's; None for a run that did not end.
    """

    directory: Path
    started: events.RunStarted
    chosen: events.ShardChosen | None = None
    joined: events.QueueJoined | None = None
    left: events.QueueLeft | None = None
    exit_status: int | None = None

    @property
    def shard(self) -> Shard | None:
        """Which one, of how many."""
        return None if self.chosen is None else parse(self.chosen.shard, {})


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one machine left in its directory."""

    directory: Path
    runs: tuple[MachineRun, ...] = ()
    junit: tuple[Path, ...] = ()
    histories: tuple[Path, ...] = ()
    coverage: tuple[Path, ...] = ()
    empty: tuple[Path, ...] = ()
    """JUnit files without a byte: of machines that were stopped before they wrote theirs."""


def find(directory: Path, durations_file: str, without: Path) -> Part:
    """All that is in a directory, at any depth.

    Args:
        directory: Of one machine.
        durations_file: The option; shards put their number into its name.
        without: Is not looked into: what was merged before.

    Raises:
        SlipstreamError: The directory is not there, or a run record in it cannot be read.
    """
    if not directory.is_dir():
        raise SlipstreamError(
            f"there is no directory {directory}",
            hint="name a directory for each machine: slipstream merge shards/*",
        )
    files = sorted(_files(directory, without.resolve()))
    stem = re.escape(Path(durations_file).stem)
    history = re.compile(rf"{stem}(\.\d+-of-\d+)?\.json")
    records = sorted(
        {file.parent for file in files if re.fullmatch(r"events-.+\.jsonl", file.name)}
    )
    documents = [file for file in files if file.suffix == ".xml"]
    written = [file for file in documents if file.stat().st_size]
    return Part(
        directory=directory,
        runs=tuple(run for path in records if (run := _run(path)) is not None),
        junit=tuple(file for file in written if _may_be_junit(file)),
        histories=tuple(file for file in files if history.fullmatch(file.name)),
        coverage=tuple(
            file
            for file in files
            if file.name.startswith(".coverage") and _head(file).startswith(_SQLITE)
        ),
        empty=tuple(file for file in documents if file not in written),
    )


def refuse_nested(directories: Sequence[Path]) -> None:
    """Nothing is joined twice.

    Raises:
        ConfigurationError: A directory is given twice, or lies in another.
    """
    for one, other in permutations(directories, 2):
        if one.resolve().is_relative_to(other.resolve()):
            raise ConfigurationError(
                f"the directory {one} is given twice, or lies in {other}, and would count twice",
                hint="name a directory for each machine: slipstream merge shards/*",
            )


def _files(directory: Path, without: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if Path(folder, name).resolve() != without]
        # Links that lead nowhere, sockets and pipes are nothing that a machine left.
        yield from (file for name in files if (file := Path(folder, name)).is_file())


def _may_be_junit(file: Path) -> bool:
    """Whether it is one, or so torn that it may have been one."""
    with file.open("rb") as opened:
        try:
            _, first = next(ElementTree.iterparse(opened, events=("start",)))
        except ElementTree.ParseError:
            return True
    return first.tag.rpartition("}")[2] in ("testsuites", "testsuite")


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_LOOKED_AT_BYTES)


def _run(directory: Path) -> MachineRun | None:
    """The run that a record tells of; None for what was merged, or never began."""
    try:
        happened = record.read(directory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SlipstreamError(
            f"the run record {directory} cannot be read: {error}",
            hint="merge with the version of pytest-slipstream that the machines ran",
        ) from error
    own = [event for event in happened if event.worker == "main"]
    started = next((event for event in own if isinstance(event, events.RunStarted)), None)
    if started is None or any(isinstance(event, events.BuildMerged) for event in happened):
        return None
    return MachineRun(
        directory=directory,
        started=started,
        chosen=_first(happened, events.ShardChosen),
        joined=_first(happened, events.QueueJoined),
        left=_first(happened, events.QueueLeft),
        exit_status=next(
            (event.exit_status for event in own if isinstance(event, events.RunFinished)), None
        ),
    )


def _first(happened: Iterable[events.AnyEvent], kind: type[_E]) -> _E | None:
    return next((event for event in happened if isinstance(event, kind)), None)
