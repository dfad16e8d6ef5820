"""The live queue on a Redis server of its own: what an atom costs, and how a large build ends.

The build is simulated in its time, not in its steps: 200 runners take and acknowledge atoms by the
real scripts on a real server, and only what their tests take is a number.
"""

from __future__ import annotations

import heapq
import json
import random
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import Findings, Row, Target
from benchmarks.sharding import Project, recorded
from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.values import Lease, Published
from pytest_slipstream.scheduling.atoms import atoms
from pytest_slipstream.scheduling.builds import collected, handed_out
from pytest_slipstream.scheduling.suite import Suite, Test

RUNNERS = 200
DYING = 0.05
LEASE_S = 30.0
LARGE = Project("large", 100_000, 3_000, -0.93, 2.0, 1.0, 60.0)
"""Distributed like the second of the shards' projects."""

_FAR_MS = 24 * 3600 * 1000


def queue(rounds: int) -> Findings:
    """What the queue adds to an atom, and the idle tail, commands and memory of a large build."""
    with _server() as url:
        added_s = _added(url, rounds)
    with _server() as url:
        simulated = _Simulation(url)
        simulated.run()
    group = f"{LARGE.tests} tests, {RUNNERS} runners of unequal speed, {DYING:.0%} dying"
    return Findings(
        (
            Row(
                "the live queue, on loopback", "take and acknowledge an atom", added_s, None, rounds
            ),
            Row(group, "simulated build", simulated.makespan_s, None, 1),
        ),
        (
            Target("added for each atom", added_s * 1000, 5, "ms"),
            Target(f"idle tail, {group}", 100 * simulated.tail, 2, "%"),
            Target("commands for each test", simulated.commands / LARGE.tests, 1, "commands"),
            Target("memory for each test", simulated.memory_bytes / LARGE.tests, 1024, "bytes"),
        ),
    )


@contextmanager
def _server() -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="sl-")
    command = ["redis-server", "--port", "0", "--unixsocket", f"{directory}/s", "--save", ""]
    with subprocess.Popen([*command, "--dir", directory], stdout=subprocess.DEVNULL) as process:
        try:
            while not Path(directory, "s").exists():
                time.sleep(0.01)
            yield f"unix://{directory}/s"
        finally:
            process.terminate()
    shutil.rmtree(directory)


def _published(tests: tuple[tuple[int, ...], ...], packed: bytes) -> Published:
    return Published(
        atoms=tests, digest="d", collected=packed, lease_ms=_FAR_MS, requeues=0, requeue_cap=0
    )


def _added(url: str, rounds: int) -> float:
    """Seconds for an atom of ten tests, reports included."""
    build = Build(url, "added", "1", "1")
    build.publish(_published(tuple((n,) for n in range(rounds)), b""))
    build.join("d")
    reports = _reports(10)
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        lease = build.take()
        assert isinstance(lease, Lease)
        build.acknowledge(lease, zlib.compress(reports, 1), {})
        taken.append(time.perf_counter() - began)
    build.close()
    return median(taken)


def _reports(tests: int) -> bytes:
    """As large as what pytest makes of so many tests that pass."""
    chance = random.Random(tests)

    def report(n: int, when: str) -> dict[str, Any]:
        return {
            "nodeid": f"tests/unit/test_orders.py::test_order[{n}]",
            "location": ["tests/unit/test_orders.py", 10 + n, f"test_order[{n}]"],
            "keywords": {f"test_order[{n}]": 1, "parametrize": 1, "test_orders.py": 1, "unit": 1},
            "outcome": "passed",
            "longrepr": None,
            "when": when,
            "user_properties": [],
            "sections": [],
            "duration": chance.random() / 10,
            "start": 1.7e9 + chance.random(),
            "stop": 1.7e9 + chance.random(),
            "$report_type": "TestReport",
        }

    return json.dumps(
        [
            [
                f"test_{n}",
                ["a", n, "b"],
                [report(n, when) for when in ("setup", "call", "teardown")],
            ]
            for n in range(tests)
        ]
    ).encode()


class _Runner:
    def __init__(self, build: Build, speed: float, dies_s: float) -> None:
        self.build = build
        self.speed = speed
        self.dies_s = dies_s
        self.ends_s = 0.0
        self.busy_s = 0.0


class _Simulation:
    """Runners take the next atom when the last test of the one before begins, as machines do."""

    def __init__(self, url: str) -> None:
        chance = random.Random(1)
        known = recorded(LARGE)
        suite = Suite([Test(node_id, seconds) for node_id, seconds in known.items()])
        own = collected(list(known), "")
        self._found = handed_out(atoms(suite, RUNNERS), own.order)
        seconds = list(known.values())
        self._seconds = [seconds[n] * chance.lognormvariate(0, 0.35) for n in own.order]
        speeds = [chance.uniform(0.5, 1.5) for _ in range(RUNNERS)]
        self._ideal_s = sum(self._seconds) / sum(speeds)
        self._runners = [
            _Runner(
                Build(url, "b", str(n), str(n)),
                speed,
                chance.uniform(0, self._ideal_s) if n < DYING * RUNNERS else float("inf"),
            )
            for n, speed in enumerate(speeds)
        ]
        self._packed = own.packed
        self._events: list[tuple[float, int, str, int, Lease | None]] = []
        self._count = 0
        self._idle: list[int] = []
        self.makespan_s = self.tail = 0.0
        self.commands = self.memory_bytes = 0

    def run(self) -> None:
        """Run the build."""
        client = self._runners[0].build._client
        before = client.info("memory")["used_memory"]
        self._runners[0].build.publish(_published(self._found, self._packed))
        for n, runner in enumerate(self._runners):
            runner.build.join("d")
            self._push(0.0, "take", n)
            if runner.dies_s < float("inf"):
                self._push(runner.dies_s + LEASE_S, "expired", n)
        while self._events:
            at, _, what, n, lease = heapq.heappop(self._events)
            runner = self._runners[n]
            if what == "expired":
                runner.build.release()
                for idle in self._idle:
                    self._push(at, "take", idle)
                self._idle.clear()
            elif at < runner.dies_s:
                self._step(at, what, n, runner, lease)
        stats = client.info("commandstats")
        self.commands = stats["cmdstat_evalsha"]["calls"]
        self.memory_bytes = client.info("memory")["used_memory"] - before
        living = [runner for runner in self._runners if runner.dies_s > self.makespan_s]
        self.tail = 1 - sum(r.busy_s for r in living) / (len(living) * self.makespan_s)

    def _step(self, at: float, what: str, n: int, runner: _Runner, lease: Lease | None) -> None:
        if what == "ran":
            assert lease is not None
            runner.build.acknowledge(lease, zlib.compress(_reports(len(lease.tests)), 1), {})
            self.makespan_s = max(self.makespan_s, at)
            return
        taken = runner.build.take()
        if not isinstance(taken, Lease):
            if not taken:
                self._idle.append(n)
            return
        took = [self._seconds[test] / runner.speed for test in taken.tests]
        runner.ends_s = max(runner.ends_s, at) + sum(took)
        runner.busy_s += sum(took)
        self._push(runner.ends_s - took[-1], "take", n)
        self._push(runner.ends_s, "ran", n, taken)

    def _push(self, at: float, what: str, n: int, lease: Lease | None = None) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, what, n, lease))
