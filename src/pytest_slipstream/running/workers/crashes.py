"""What is said of a worker that was lost, and what is left of its atoms. Pure."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence

import msgspec
import pytest

from pytest_slipstream.scheduling.atoms import Atom


def ended(status: int) -> str:
    """How a process ended, in words.

    Args:
        status: Its exit status, or minus the signal that ended it.
    """
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:  # a real-time signal has no name
        return f"was ended by signal {-status}"


def text(
    worker_id: str, pid: int, status: int, others: Sequence[str], output: Sequence[str]
) -> str:
    """What the report of a test says that was running when its worker was lost.

    Args:
        worker_id: The worker's.
        pid: Its process id.
        status: As for `ended`.
        others: The node ids of the tests that were in flight with it.
        output: The last lines that the worker wrote.
    """
    said = [f"the worker {worker_id} (process {pid}) {ended(status)} while it ran this test"]
    if others:
        said.append(f"in flight with it, any of which may be the cause: {', '.join(others)}")
    if output:
        said += ["", "the last lines that it wrote:", *(f"  {line}" for line in output)]
    return "\n".join(said)


def report(item: pytest.Item, said: str, seconds: float, at: float) -> pytest.TestReport:
    """The report of a test that was running when its worker was lost.

    Args:
        item: The test.
        said: What is known.
        seconds: How long it ran.
        at: Unix time when it ended, in seconds.
    """
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="failed",
        longrepr=said,
        when="call",
        duration=seconds,
        start=at - seconds,
        stop=at,
    )


def rest(atom: Atom, left: Collection[int]) -> Atom:
    """An atom without its tests that were reported; it is taken to last as long for each test."""
    tests = tuple(position for position in atom.tests if position in left)
    seconds = atom.seconds * len(tests) / len(atom.tests)
    return msgspec.structs.replace(atom, tests=tests, seconds=seconds)
