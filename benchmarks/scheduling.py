"""The scheduler: simulated runs beside pytest-xdist's, and what planning costs."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from benchmarks.measuring import Findings, Row, Target
from benchmarks.rivals import RIVALS
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.atoms import atoms
from pytest_slipstream.scheduling.durations import EPOCH, History, recorded, sample
from pytest_slipstream.scheduling.estimates import UNKNOWN_S, Estimates
from pytest_slipstream.scheduling.plan import plan
from pytest_slipstream.scheduling.sharing import Sharing
from pytest_slipstream.scheduling.simulation import Take, simulate
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test

WORKERS = 2


def simulated(_: int) -> Findings:
    """What runs would take with the decisions of each scheduler; nothing is measured."""
    each = [_row("one test of 8 s in 17.6 s: the mean over its places", s) for s in _skewed()]
    rows = [
        column[0]._replace(whole_s=mean(row.whole_s for row in column))
        for column in zip(*each, strict=True)
    ]
    with_history, without = rows[1].whole_s, rows[2].whole_s
    mixed_rows = _row("2,000 tests, module fixtures of 0.5 s", _mixed())
    best_rival_s = min(row.whole_s for row in mixed_rows[3:])
    return Findings(
        (*rows, *mixed_rows),
        (
            Target(
                "simulated, skewed suite with history", with_history / rows[0].whole_s, 1.1, "x"
            ),
            Target("simulated, skewed suite, no history", without / rows[0].whole_s, 1.3, "x"),
            Target(
                "simulated, mixed suite: best rival over ours",
                best_rival_s / mixed_rows[1].whole_s,
                1.0,
                "x",
                at_least=True,
            ),
        ),
    )


def _skewed() -> Iterator[Suite]:
    """One long test, at each place among 96 short ones."""
    for place in range(97):
        seconds = [0.1] * 96
        seconds.insert(place, 8.0)
        yield Suite([Test(f"test_{n // 25}.py::test_{n}", s) for n, s in enumerate(seconds)])


def _mixed() -> Suite:
    chance = random.Random(0)
    tests = [
        Test(f"test_{n // 40}.py::test_{n}", chance.lognormvariate(-4, 1.2), (f"of {n // 40}",))
        for n in range(2000)
    ]
    return Suite(tests, {f"of {n}": Fixture(0.5) for n in range(50)})


def _row(group: str, suite: Suite) -> list[Row]:
    """The lower bound, ours with and without a history, the rivals."""
    unknown = Suite(
        [Test(test.node_id, UNKNOWN_S, test.fixtures) for test in suite.tests],
        {key: Fixture(UNKNOWN_S) for key in suite.fixtures},
    )
    takes = {"slipstream": _ours(suite), "slipstream without history": _ours(unknown)}
    takes |= {name: rival(suite, WORKERS) for name, rival in RIVALS.items()}
    rows = [Row(group, "lower bound", suite.lower_bound(WORKERS), None, 1)]
    for name, take in takes.items():
        rows.append(Row(group, name, simulate(suite, WORKERS, take).makespan_s, None, 1))
    return rows


def _ours(expected: Suite) -> Take:
    found = atoms(expected, WORKERS)
    sharing = Sharing(expected, found, plan(expected, found, WORKERS))

    def take(worker: int) -> tuple[int, ...] | None:
        atom = sharing.take(worker)
        return None if atom is None else atom.tests

    return take


TESTS = 100_000


def planning(rounds: int) -> Findings:
    """Reading the history of 100,000 tests and planning 16 workers."""
    node_ids = [
        f"tests/area_{n // 40 % 30}/test_module_{n // 40}.py::TestThing{n // 10 % 4}"
        f"::test_does_what_it_says[{n % 10}-value]"
        for n in range(TESTS)
    ]
    with TemporaryDirectory() as directory:
        path = Path(directory) / "durations.json"
        history_file.write(path, _history(node_ids))
        size = path.stat().st_size
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            _plan(path, node_ids)
            times.append(time.perf_counter() - started)
        tracemalloc.start()
        _plan(path, node_ids)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    group = "planning 100,000 tests"
    return Findings(
        (Row(group, "read, estimate, atoms, plan", median(times), None, rounds),),
        (
            Target(group, median(times), 2, "s"),
            Target(f"{group}: memory", peak / 1e6, 200, "MB"),
            Target(f"{group}: the file", size / 1e6, 10, "MB"),
        ),
    )


def _history(node_ids: list[str]) -> History:
    """Of eight runs on a machine where a test's time varies by a third."""
    chance = random.Random(0)
    usual = {node_id: chance.lognormvariate(-5, 1.5) for node_id in node_ids}
    history = History()
    for run in range(8):
        taken = {
            node_id: sample(EPOCH + 5e7 + 86_400 * run, (0, s * chance.lognormvariate(0, 0.35), 0))
            for node_id, s in usual.items()
        }
        history = recorded(history, "linux-x86_64-2", taken, {})
    return history


def _plan(path: Path, node_ids: list[str]) -> None:
    estimates = Estimates(history_file.read(path))
    suite = Suite([Test(node_id, estimates.test(node_id)) for node_id in node_ids])
    plan(suite, atoms(suite, 16), 16)
