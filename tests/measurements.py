"""Measurements for the tests of what is said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pytest_slipstream.measure.values import (
    Machine,
    Measurement,
    Run,
    Software,
    TestSeconds,
)

MACHINE = Machine(processor="P", cores=2, memory_bytes=8 << 30, system="Linux x86_64")
SOFTWARE = Software(python="3.12.1", pytest="9.0.0", plugins={"xdist": "3.8"}, servers={})


def run(wall_s: float, at: float = 0.0) -> Run:
    return Run(
        started_at=at,
        wall_s=wall_s,
        user_s=wall_s / 2,
        system_s=0.1,
        exit_status=0,
        peak_bytes=50_000_000,
        server_peak_bytes=None,
        composition={"": {"passed": 2}},
        tests=TestSeconds(median_s=0.004, p95_s=None, longest_s=1.0, longest="t.py::b"),
    )


def measurement(
    walls_s: Sequence[float] = (10.0,),
    *,
    first: int = 0,
    step: int = 1,
    tests: Mapping[str, str] | None = None,
    **more: Any,
) -> Measurement:
    """A measurement whose runs began at ``first``, ``first + step``, …"""
    made = Measurement(
        command="pytest",
        machine=MACHINE,
        load_before=0.5,
        software=SOFTWARE,
        commit=None,
        workers=0,
        memory_kind="PSS",
        server_memory_kind="PSS",
        warmup=(),
        runs=tuple(run(wall_s, first + n * step) for n, wall_s in enumerate(walls_s)),
        tests=dict(tests or {"t.py::a": "passed", "t.py::b": "passed"}),
    )
    return msgspec.structs.replace(made, **more)


def pair(
    before: Sequence[float], after: Sequence[float], **of_candidate: Any
) -> tuple[Measurement, Measurement]:
    """Two that were taken in turns."""
    return (
        measurement(before, first=0, step=2),
        measurement(after, first=1, step=2, **of_candidate),
    )
