"""Tests that wait: in sequence, by each rival, and in flight together.

Every contender is a pytest process of its own, with only its own plugin; rivals that are not
installed, or that fail, are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.measuring import Findings, Row, Target
from benchmarks.processes import scratch

TESTS = 1000
GROUP = f"{TESTS} tests of 0.5 s, with an asynchronous fixture of 0.1 s up and 0.1 s down"
FILE = """\
import asyncio, json, os, psutil, pytest
from pathlib import Path

PAUSE = float(os.environ["PAUSE"])
PROCESS = psutil.Process()
MEMORY = []

@pytest.fixture
async def own():
    MEMORY.append(PROCESS.memory_info().rss if len(MEMORY) in (0, COUNT - 1) else 0)
    await asyncio.sleep(0.1 * PAUSE)
    yield
    await asyncio.sleep(0.1 * PAUSE)

COUNT = int(os.environ["COUNT"])

@MARK
@pytest.mark.parametrize("number", range(COUNT))
async def test_it(own, number):
    await asyncio.sleep(0.5 * PAUSE)
    if number == COUNT - 1:
        await asyncio.sleep(0)
        Path("memory.json").write_text(json.dumps([MEMORY[0], PROCESS.memory_info().rss]))
"""


class Contender(NamedTuple):
    """A plugin and how it is told to run tests together.

    Args:
        name: As it stands in the table.
        plugin: The module that pytest loads.
        options: For pytest.
        mark: The decorator of the test.
        pause: 1 for tests that wait, 0 for the same tests without the waiting.
        count: How many tests; slow contenders get fewer.
    """

    name: str
    plugin: str
    options: tuple[str, ...] = ()
    mark: str = "pytest.mark.asyncio"
    pause: int = 1
    count: int = TESTS


_AT_BEST = (
    "in flight together",
    "in flight together, no other plugin",
    "in flight together on two workers, no other plugin",
)
OURS = ("-p", "slipstream", f"--slipstream-concurrency={TESTS}")
CONTENDERS = (
    Contender("pytest-asyncio, without the waiting", "pytest_asyncio", pause=0),
    Contender("in flight together, without the waiting", "pytest_asyncio", OURS, pause=0),
    Contender("in flight together", "pytest_asyncio", OURS),
    Contender("in flight together, no other plugin", "slipstream", OURS, "pytest.mark.concurrent"),
    Contender(
        "in flight together on two workers, no other plugin",
        "slipstream",
        (*OURS, "--workers=2"),
        "pytest.mark.concurrent",
    ),
    *(
        Contender(
            f"pytest-asyncio-cooperative, {tasks} tasks",
            "pytest_asyncio_cooperative",
            (f"--max-asyncio-tasks={tasks}",),
            "pytest.mark.asyncio_cooperative",
        )
        for tasks in (100, 1000)
    ),
    Contender(
        "pytest-asyncio-concurrent, a tenth of the tests",
        "pytest_asyncio_concurrent",
        (),
        'pytest.mark.asyncio_concurrent(group="all")',
        count=TESTS // 10,
    ),
)


class Taken(NamedTuple):
    """One run: seconds on the clock, seconds of CPU, bytes for each test in flight."""

    wall_s: float
    cpu_s: float
    bytes_each: float


def waiting(rounds: int) -> Findings:
    """Wall time, CPU and memory of each contender."""
    taken: dict[str, list[Taken]] = {}
    with scratch() as directory:
        for contender in (*CONTENDERS,) * rounds:
            installed = contender.plugin == "slipstream" or find_spec(contender.plugin)
            if installed and (run := _run(directory, contender)):
                taken.setdefault(contender.name, []).append(run)
    return Findings(
        tuple(
            Row(GROUP, name, median(run.wall_s for run in runs), None, len(runs))
            for name, runs in taken.items()
        ),
        tuple(_targets(taken)),
    )


def _targets(taken: dict[str, list[Taken]]) -> list[Target]:
    def wall_s(name: str) -> float:
        return median(run.wall_s for run in taken[name])

    ours, plain = taken["in flight together"], wall_s("pytest-asyncio, without the waiting")
    without = wall_s("in flight together, without the waiting")
    targets = [
        Target(
            "in flight together, over 0.7 s + pytest-asyncio without the waiting",
            wall_s("in flight together") / (0.7 + plain),
            1.3,
            "x",
        ),
        Target(
            "in flight together, over pytest-asyncio, for each test",
            (without - plain) / TESTS * 1e3,
            1.5,
            "ms",
        ),
        Target("for each test in flight", median(run.bytes_each for run in ours) / 1024, 30, "KB"),
        Target(
            "CPU of tests that wait, over that of the same tests in sequence without the waiting",
            median(run.cpu_s for run in ours)
            / median(run.cpu_s for run in taken["pytest-asyncio, without the waiting"]),
            1.3,
            "x",
        ),
    ]
    for rival, least, part in (("cooperative", 1, 1), ("concurrent", 50, 10)):
        names = [name for name in taken if name.startswith(f"pytest-asyncio-{rival}")]
        if names:
            best = min(wall_s(name) for name in names) * part
            text = f"faster than pytest-asyncio-{rival} at its best"
            factor = best / min(wall_s(name) for name in taken if name in _AT_BEST)
            targets.append(Target(text, factor, least, "x", at_least=True))
    return targets


def _run(directory: Path, contender: Contender) -> Taken | None:
    (directory / "test_it.py").write_text(FILE.replace("MARK", contender.mark, 1))
    (directory / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-W ignore'\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if contender.plugin != "slipstream":
        command += ["-p", f"{contender.plugin}.plugin"]
    if contender.plugin == "pytest_asyncio":
        command += ["--asyncio-mode=auto"]
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PAUSE": str(contender.pause),
        "COUNT": str(contender.count),
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, *contender.options],
        cwd=directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(f"{contender.name} fails", file=sys.stderr)
        return None
    before, after = json.loads((directory / "memory.json").read_text())
    cpu_s = usage.ru_utime + usage.ru_stime
    return Taken(wall_s, cpu_s, (after - before) / contender.count)
