"""Whole runs on workers, ours and the rivals' that are installed, in turns.

Every contender is a pytest process of its own, with only its own plugin; one that fails is left
out. Tests sleep where a suite is about balance, so that a busy machine does not decide.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.measuring import Findings, Row, Target
from benchmarks.processes import scratch

WORKERS = 2


class Contender(NamedTuple):
    """A way to run a suite.

    Args:
        name: As it stands in the table.
        module: What must be installed.
        options: For pytest; ``{n}`` is the number of workers.
        forgets: Begins without what its earlier runs have recorded.
    """

    name: str
    module: str = "pytest_slipstream"
    options: str = ""
    forgets: bool = False


SEQUENCE = Contender("in sequence, plain pytest")
OURS = Contender("--workers", options="-p slipstream --workers={n}")
NEW = Contender("--workers, without history", options=OURS.options, forgets=True)
XDIST = [
    Contender(f"pytest-xdist, {dist}", "xdist", f"-p xdist -n {{n}} --dist {dist}")
    for dist in ("load", "worksteal", "loadscope")
]
BISTRA = Contender("bistra", "bistra", "-p bistra --bistra --bistra-workers {n}")
ZYGOTE = Contender("pytest-zygote", "pytest_zygote", "-p zygote --workers {n}")
ALL = [OURS, NEW, *XDIST, BISTRA, ZYGOTE]


class Taken(NamedTuple):
    """Seconds on the clock, and of CPU of all processes."""

    wall_s: float
    cpu_s: float


def whole_runs(rounds: int) -> Findings:
    """All suites."""
    found = Findings()
    for suite in (_trivial, _skewed, _mixed, _imports):
        with scratch() as directory:
            new = suite(directory, rounds)
        found = Findings(found.rows + new.rows, found.targets + new.targets)
    return found


def _trivial(directory: Path, rounds: int) -> Findings:
    count = 5000
    for number in range(50):
        tests = (f"def test_{n}():\n    pass\n\n" for n in range(count // 50))
        (directory / f"test_{number}.py").write_text("".join(tests))
    taken = _in_turns(directory, [SEQUENCE, *ALL], WORKERS, rounds)
    plain, ours = taken[SEQUENCE.name], taken[OURS.name]
    each_ms = (median(t.cpu_s for t in ours) - median(t.cpu_s for t in plain)) / count * 1e3
    return Findings(
        _rows(f"{count} trivial tests, {WORKERS} workers", taken),
        (
            Target(
                f"{count} trivial tests: in sequence, over --workers {WORKERS}",
                _wall_s(plain) / _wall_s(ours),
                1.0,
                "x",
                at_least=True,
            ),
            Target("CPU of --workers for each test, over plain pytest", each_ms, 0.2, "ms"),
        ),
    )


def _skewed(directory: Path, rounds: int) -> Findings:
    seconds = [0.1] * 96 + [8.0]
    bound_s = sum(seconds) / WORKERS
    for number in range(4):
        tests = (
            f"def test_{n}():\n    time.sleep({s})\n\n"
            for n, s in list(enumerate(seconds))[25 * number : 25 * (number + 1)]
        )
        (directory / f"test_{number}.py").write_text("import time\n\n" + "".join(tests))
    taken = _in_turns(directory, ALL, WORKERS, rounds)
    text = "the skewed suite, over its lower bound"
    return Findings(
        (
            Row("a long test at the end, 17.6 s in all", "lower bound", bound_s, None, 1),
            *_rows("a long test at the end, 17.6 s in all", taken),
        ),
        (
            Target(text, _wall_s(taken[OURS.name]) / bound_s, 1.1, "x"),
            Target(f"{text}, without history", _wall_s(taken[NEW.name]) / bound_s, 1.3, "x"),
            _ahead("the skewed suite", taken),
        ),
    )


def _mixed(directory: Path, rounds: int) -> Findings:
    chance = random.Random(0)
    for number in range(50):
        tests = (
            f"def test_{n}(wide):\n    time.sleep({chance.lognormvariate(-5.5, 1.2):.4f})\n\n"
            for n in range(40)
        )
        (directory / f"test_{number}.py").write_text(
            "import time\nimport pytest\n\n@pytest.fixture(scope='module')\ndef wide():\n"
            "    time.sleep(0.5)\n\n" + "".join(tests)
        )
    taken = _in_turns(directory, ALL, WORKERS, max(1, rounds // 2))
    rivals = {name: runs for name, runs in taken.items() if "worksteal" in name or "scope" in name}
    return Findings(
        _rows("2,000 tests, module fixtures of 0.5 s", taken),
        (_ahead("2,000 tests, module fixtures of 0.5 s", {OURS.name: taken[OURS.name], **rivals}),),
    )


IMPORTS = """\
import json, os, time
from pathlib import Path
import fastapi, psutil, pytest, sqlalchemy.orm

@pytest.mark.parametrize("n", range(8))
def test_it(n):
    if not (own := Path("memory") / str(os.getpid())).exists():
        own.write_text(json.dumps(psutil.Process().memory_full_info().uss))
    time.sleep(0.4)
"""


def _imports(directory: Path, rounds: int) -> Findings:
    workers = 4
    (directory / "test_it.py").write_text(IMPORTS)
    (directory / "memory").mkdir()
    collected = Contender("imports and collection alone", options="--collect-only")
    uss: dict[str, list[float]] = {}
    taken: dict[str, list[Taken]] = {}
    for contender in [collected, *_installed(ALL)] * rounds:
        for path in (directory / "memory").iterdir():
            path.unlink()
        _run_into(taken, directory, contender, workers)
        private = [json.loads(path.read_text()) for path in (directory / "memory").iterdir()]
        if private:
            uss.setdefault(contender.name, []).append(median(private) / 1e6)
    more_s = _wall_s(taken[OURS.name]) - _wall_s(taken[collected.name]) - 0.8
    group = f"8 tests of 0.4 s with FastAPI and SQLAlchemy, {workers} workers"
    own_mb = median(uss[OURS.name])
    rivals_mb = [median(uss[each.name]) for each in XDIST if each.name in uss]
    return Findings(
        _rows(group, taken),
        (
            Target(f"{group}: beyond imports, collection and 0.8 s", more_s, 0.3, "s"),
            Target("private memory of a worker at its start", own_mb, 15, "MB"),
            Target(
                "private memory of pytest-xdist's workers over ours",
                min(rivals_mb) / own_mb,
                3,
                "x",
                at_least=True,
            ),
        ),
    )


def _ahead(text: str, taken: dict[str, list[Taken]]) -> Target:
    rivals = [runs for name, runs in taken.items() if name not in (OURS.name, NEW.name)]
    best_s = min(map(_wall_s, rivals))
    factor = best_s / _wall_s(taken[OURS.name])
    return Target(f"{text}: best rival over ours", factor, 1.0, "x", at_least=True)


def _wall_s(runs: Sequence[Taken]) -> float:
    return median(run.wall_s for run in runs)


def _rows(group: str, taken: dict[str, list[Taken]]) -> tuple[Row, ...]:
    return tuple(Row(group, name, _wall_s(runs), None, len(runs)) for name, runs in taken.items())


def _installed(contenders: Sequence[Contender]) -> Iterator[Contender]:
    return (each for each in contenders if find_spec(each.module))


def _in_turns(
    directory: Path, contenders: Sequence[Contender], workers: int, rounds: int
) -> dict[str, list[Taken]]:
    """Each runs once before it is measured, and may remember that."""
    known = [contender for contender in _installed(contenders) if not contender.forgets]
    for contender in known:
        if contender in (OURS, BISTRA):
            _run(directory, contender, workers)
    taken: dict[str, list[Taken]] = {}
    for contender in (*_installed(contenders),) * rounds:
        _run_into(taken, directory, contender, workers)
    return taken


def _run_into(
    taken: dict[str, list[Taken]], directory: Path, contender: Contender, workers: int
) -> None:
    if run := _run(directory, contender, workers):
        taken.setdefault(contender.name, []).append(run)


def _run(directory: Path, contender: Contender, workers: int) -> Taken | None:
    record, aside = directory / ".slipstream", directory / "aside"
    if contender.forgets and record.exists():
        record.rename(aside)
    try:
        return _timed(directory, contender, workers)
    finally:
        if aside.exists():
            shutil.rmtree(record, ignore_errors=True)
            aside.rename(record)


def _timed(directory: Path, contender: Contender, workers: int) -> Taken | None:
    (directory / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-W ignore'\n")
    options = contender.options.format(n=workers).split()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *options],
        cwd=directory,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(f"{contender.name} fails: exit status {process.returncode}", file=sys.stderr)
        return None
    return Taken(wall_s, usage.ru_utime + usage.ru_stime)
