"""Past runs, kept small in ``.slipstream/past``: one compressed file each, so that none waits for
another.

The invariant: what cannot be read or written costs the trend, never a test result.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pytest_slipstream import events
from pytest_slipstream.report.happened import Happened
from pytest_slipstream.report.seconds import account, began_and_ended

DIRECTORY = Path(".slipstream", "past")
VERSION = 1


class PastRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a run.

    Args:
        name: The file's, without its suffix: the time, and the testrun uid's beginning.
        at: Unix time of its begin.
        seconds: Wall.
        worker_seconds: Of all workers.
        tests: Milliseconds by node id, of those that passed.
    """

    version: int
    name: str
    at: float
    seconds: float
    worker_seconds: float
    tests: dict[str, float]


def past_run(happened: Sequence[events.AnyEvent], uid: str) -> PastRun | None:
    """What is to be kept of a run; nothing where no test ran."""
    tests = Happened(happened).of(events.TestTimed)
    if not tests:
        return None
    began, ended = began_and_ended(happened)
    return PastRun(
        version=VERSION,
        name=f"{round(began * 1000)}-{uid[:8]}",
        at=began,
        seconds=round(ended - began, 3),
        worker_seconds=round(account(happened).total_s, 3),
        tests={
            test.node_id.encode(errors="backslashreplace").decode(): round(1000 * test.seconds, 1)
            for test in tests
            if test.outcome == "passed"
        },
    )


def keep(rootdir: Path, run: PastRun, most: int) -> None:
    """Keep a run, and the newest others.

    Raises:
        OSError: It cannot be written.
    """
    directory = rootdir / DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    directory.joinpath(".gitignore").write_text("*\n")
    path = directory / f"{run.name}.json.gz"
    scratch = path.with_suffix(".new")
    scratch.write_bytes(gzip.compress(msgspec.json.encode(run), compresslevel=6))
    scratch.replace(path)
    for old in _files(directory)[:-most]:
        old.unlink(missing_ok=True)


def read(rootdir: Path) -> list[PastRun]:
    """All past runs that can be read, the newest last."""
    found = []
    for path in _files(rootdir / DIRECTORY):
        try:
            run = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=PastRun)
        except (OSError, EOFError, msgspec.DecodeError, UnicodeDecodeError):
            continue  # cut short, or of another version
        if run.version == VERSION:
            found.append(run)
    return sorted(found, key=lambda run: run.at)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.json.gz"))
