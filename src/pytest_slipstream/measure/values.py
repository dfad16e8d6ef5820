"""What was measured, as frozen values: the content of a measurement file.

The invariant: a value holds what was seen, all runs of it; medians and verdicts are made from it
and never stored.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MemoryKind = Literal["PSS", "RSS"]
"""PSS divides a shared page among those who share it; RSS, where there is no PSS, counts it for
each of them."""

NOT_RUN = "not run"

P95_TESTS = 20
"""Of fewer tests, the 95th percentile is just the slowest."""

Composition = dict[str, dict[str, int]]
"""How many tests of each lane ended in each outcome; the lane is "" where there are none."""


class TestSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests of one run took, set-up and teardown included.

    ``p95_s`` is None where there are fewer than `P95_TESTS`.
    """

    __test__ = False

    median_s: float
    p95_s: float | None
    longest_s: float
    longest: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the command.

    Args:
        started_at: Unix time in seconds.
        wall_s: From starting the command until it has ended.
        user_s: CPU seconds of the process and of its descendants, in user mode.
        system_s: The same, in the kernel.
        exit_status: The command's own; negative for a signal.
        peak_bytes: The largest sum seen over the process tree; None where it was too short.
        server_peak_bytes: The same of the embedded database servers that it used.
        composition: Its tests, by lane and outcome.
        tests: What they took.
    """

    started_at: float
    wall_s: Annotated[float, Meta(gt=0)]
    user_s: float
    system_s: float
    exit_status: int
    peak_bytes: int | None
    server_peak_bytes: int | None
    composition: Composition
    tests: TestSeconds

    @property
    def cpu_s(self) -> float:
        """User and system."""
        return self.user_s + self.system_s


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs ran on. ``cores`` are those that the process may use."""

    processor: str
    cores: int
    memory_bytes: int
    system: str


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests ran with. ``servers``: for each engine its version."""

    python: str
    pytest: str
    plugins: dict[str, str]
    servers: dict[str, str]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """The revision in git; ``dirty`` where files differ from it, apart from ``.slipstream``."""

    revision: str
    dirty: bool


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command, run several times.

    Args:
        command: As a person would type it.
        machine: Where.
        load_before: The system's load average over a minute, before the first run.
        software: With what.
        commit: Of what; None without git.
        workers: Processes that ran the tests beside pytest's own; 0 for none.
        memory_kind: What the bytes of the runs are.
        server_memory_kind: What those of the servers are: another user's process may not be
            looked into.
        warmup: Runs that do not count.
        runs: Those that do, in the order of time.
        tests: The outcome of each test by its node id; of a test that had several, all of them,
            as in ``failed or passed``; `NOT_RUN` where it was absent from a run.
    """

    command: str
    machine: Machine
    load_before: float
    software: Software
    commit: Commit | None
    workers: int
    memory_kind: MemoryKind
    server_memory_kind: MemoryKind
    warmup: tuple[Run, ...]
    runs: Annotated[tuple[Run, ...], Meta(min_length=1)]
    tests: dict[str, str]

    @property
    def crowded(self) -> bool:
        """Whether other programs had the processors busy already."""
        return self.load_before > self.machine.cores

    @property
    def walls_s(self) -> list[float]:
        """The wall seconds of the runs that count."""
        return [run.wall_s for run in self.runs]
