"""A run in the Trace Event Format that Perfetto and chrome://tracing open.

Rows are threads of one process; times are microseconds since the run began.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pytest_slipstream.report.run import PARTS, RunReport, Test


def trace(run: RunReport) -> bytes:
    """The file's content."""
    return msgspec.json.encode({"traceEvents": list(_events(run)), "displayTimeUnit": "ms"})


def _events(run: RunReport) -> Iterator[dict[str, Any]]:
    for row, name in enumerate(run.rows):
        yield {"ph": "M", "name": "thread_name", "pid": 1, "tid": row, "args": {"name": name}}
    for test in run.tests:
        yield from _test(test, run.began)
    for seen in run.memory:
        yield {
            "ph": "C",
            "name": f"memory, {seen.kind}",
            "pid": 1,
            "ts": _us(seen.at - run.began),
            "args": {"bytes": seen.own_bytes},
        }


def _test(test: Test, origin: float) -> Iterator[dict[str, Any]]:
    common = {"ph": "X", "pid": 1, "tid": test.row}
    at = test.began - origin
    yield {
        **common,
        "name": test.node_id,
        "ts": _us(at),
        "dur": _us(test.seconds),
        "args": {"outcome": test.outcome, "worker": test.worker},
    }
    for name, seconds in zip(PARTS, test.parts, strict=True):
        if seconds > 0:
            yield {**common, "name": name, "ts": _us(at), "dur": _us(seconds)}
        at += seconds


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
