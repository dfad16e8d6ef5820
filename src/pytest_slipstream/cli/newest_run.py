"""The newest run record of a project."""

from __future__ import annotations

from pathlib import Path

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
