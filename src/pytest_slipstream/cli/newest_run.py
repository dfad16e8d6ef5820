"""The run records of a project, as commands read them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pytest_slipstream import events, record
from pytest_slipstream.errors import SlipstreamError


def newest_run(here: Path) -> Path:
    """Its directory.

    Raises:
        SlipstreamError: There is none.
    """
    records = here / ".slipstream" / "runs"
    found = (path for path in records.glob("*") if path.is_dir())
    runs = sorted(found, key=lambda run: run.stat().st_mtime_ns)
    if not runs:
        raise SlipstreamError(f"there is no run record in {records}", hint="run pytest here first")
    return runs[-1]


def read_run(directory: Path) -> list[events.AnyEvent]:
    """The events of a run that is over.

    Raises:
        SlipstreamError: There are none, or they cannot be read.
    """
    try:
        happened = record.read(directory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SlipstreamError(
            f"the run record {directory} cannot be read: {error}",
            hint="another version of slipstream wrote it, or it is damaged: run pytest again",
        ) from error
    if not happened:
        raise SlipstreamError(
            f"there is no run record in {directory}", hint="run pytest here first"
        )
    return happened
