"""Where the seconds of whole runs are said to go."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from concurrency import PYTEST_OPTIONS, with_concurrency
from projects import DATABASES, Project
from pytest_slipstream import events, record
from pytest_slipstream.report.seconds import account

TESTS = """
    import time
    import unittest

    import pytest
    from app.db import add, engine, names

    @pytest.fixture(scope="module")
    def wide():
        time.sleep(0.03)
        yield
        time.sleep(0.04)

    @pytest.fixture
    def own(wide):
        time.sleep(0.05)
        yield
        time.sleep(0.06)

    def test_fixtures(own):
        pass

    def test_body():
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            sum(range(1000))
        time.sleep(0.07)

    def test_statements():
        add("anna")
        assert names() == ["anna"]

    def test_ddl():
        with engine.begin() as connection:
            connection.exec_driver_sql("create table more (id integer)")

    class TestCase(unittest.TestCase):
        def setUp(self):
            time.sleep(0.05)

        def test_it(self):
            time.sleep(0.06)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester, DATABASES["sqlite"])


def timed(project: Project) -> dict[str, dict]:  # type: ignore[type-arg]
    return {event["node_id"].partition("::")[2]: event for event in project.events("TestTimed")}


def check_sum(test: dict) -> None:  # type: ignore[type-arg]
    parts = [*test["own"], *test["spent"].values(), *map(sum, test["fixtures"].values())]
    assert min(parts) >= 0
    assert sum(parts) <= test["seconds"] + 0.001


def whole_s(happened: list[events.AnyEvent]) -> float:
    """The lives of the processes that ran tests, and of one that collected for workers its part."""
    tested = {event.worker for event in happened if isinstance(event, events.TestTimed)}
    whole = 0.0
    for process in happened:
        if isinstance(process, events.ProcessTimed):
            end = max(event.at for event in happened if event.worker == process.worker)
            life_s = end - process.began
            if process.worker in tested:
                whole += life_s
            elif process.imports:
                whole += life_s - process.running_seconds
    return whole


def test_every_second_is_in_its_bucket_and_statements_are_counted(project: Project) -> None:
    done = project.run(tests=TESTS)
    done.assert_outcomes(passed=5)
    tests = timed(project)
    fixtures = tests["test_fixtures"]["fixtures"]
    assert fixtures["test_it.py::own"][0] >= 0.05
    assert fixtures["test_it.py::own"][1] >= 0.06
    wide = [test["fixtures"].get("test_it.py::wide", (0, 0)) for test in tests.values()]
    assert sum(set_up for set_up, _ in wide) >= 0.03
    assert sum(torn_down for _, torn_down in wide) >= 0.04
    body = tests["test_body"]
    assert body["own"][1] >= 0.12
    assert body["own"][1] - body["cpu_seconds"] >= 0.05
    case = tests["TestCase::test_it"]
    assert case["fixtures"]["test_it.py::TestCase::test_it::setUp"][0] >= 0.05
    assert case["own"][1] >= 0.06
    for test in tests.values():
        check_sum(test)
    counts = tests["test_statements"]["counts"]
    assert counts["queries"] == 3  # the insert, its row anew after the commit, the names
    assert counts["commits"] == 1
    assert counts["cleaning"] == 1
    assert tests["test_ddl"]["counts"]["DDL statements"] == 1
    assert tests["test_fixtures"]["counts"]["fixture set-ups"] == 1  # ``wide`` is no test's own
    assert "queries" not in tests["test_fixtures"]["counts"]  # those of the seed are the template's


@pytest.mark.parametrize(
    "workers", [("-n", "2"), ("--workers", "2"), ("--workers", "2", "--workers-start", "spawn")]
)
def test_buckets_of_all_workers_sum_to_the_whole(
    project: Project, workers: tuple[str, ...]
) -> None:
    project.run(*workers, tests=TESTS).assert_outcomes(passed=5)
    happened = record.read(next((project.path / ".slipstream" / "runs").iterdir()))
    spent = account(happened)
    assert len(timed(project)) == 5
    assert spent.workers == len({test["worker"] for test in timed(project).values()} - {"main"})
    assert spent.total_s == pytest.approx(whole_s(happened), rel=0.01)
    assert "imports, by test modules" in spent.buckets
    assert "worker start" in spent.buckets
    for test in timed(project).values():
        check_sum(test)


def test_frozen_time_falsifies_nothing(project: Project) -> None:
    tests = """
        import time
        from freezegun import freeze_time

        @freeze_time("2020-01-01", auto_tick_seconds=3600)
        def test_frozen():
            time.time(); time.perf_counter(); time.process_time()
    """
    project.run(tests=tests).assert_outcomes(passed=1)
    assert timed(project)["test_frozen"]["seconds"] < 300


OVERLAPPING = """
    import asyncio
    import os

    import pytest
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(os.environ["DATABASE_URL"].replace("sqlite:", "sqlite+aiosqlite:"))

    @pytest.fixture
    async def waited():
        await asyncio.sleep(0.1)

    @pytest.mark.parametrize("number", range(6))
    async def test_it(number, waited):
        async def ask():
            async with engine.connect() as connection:
                await connection.execute(text("select 1"))

        await asyncio.sleep(0.2)
        await asyncio.gather(*(ask() for _ in range(number)))
        async with engine.begin() as connection:
            await connection.execute(text(f"insert into role (name) values ('{number}')"))
"""


BUDGET = """
    [tool.slipstream.budget]
    counters = { queries = 5 }
"""


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_tests_in_flight_together(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    text = with_concurrency(DATABASES["sqlite"], 8) + BUDGET
    project = Project(pytester, text)
    project.configure(text, PYTEST_OPTIONS)
    done = project.run("-p", "asyncio", "--slipstream-detail", *workers, tests=OVERLAPPING)
    done.assert_outcomes(passed=6)
    assert done.ret == 10
    select = "  * s, 15 times, up to 5 in test_it.py::test_it[[]5[]]: select 1"
    done.stdout.fnmatch_lines(["statements, the slowest first: 7", select])
    done.stdout.fnmatch_lines(["budget broken: test_it.py::test_it[[]5[]] queries 6, limit 5"])
    places = {
        place: seconds
        for event in project.events("WaitsTimed")
        for place, (_, seconds) in event["waits"].items()
    }
    lines = OVERLAPPING.splitlines()
    for length in ("0.1", "0.2"):
        line = lines.index(f"        await asyncio.sleep({length})") + 1
        assert places[f"sleep in test_it.py:{line}"] >= 0.9 * float(length)
    longest = "  1.2?? s, 6 times, up to 1 in test_it.py::test_it*: sleep in test_it.py:*"
    done.stdout.fnmatch_lines(["waits, the longest first: *", longest])
    happened = record.read(next((project.path / ".slipstream" / "runs").iterdir()))
    spent = account(happened)
    ran_on = {test["worker"] for test in timed(project).values()}  # a quick one takes all
    assert ran_on <= ({"gw0", "gw1"} if workers else {"main"})
    assert spent.workers == len(ran_on)
    assert spent.total_s == pytest.approx(whole_s(happened), rel=0.01)
    assert spent.buckets["tests in flight together: all waiting"] > 0
    assert spent.buckets["databases: cleaning"] > 0
    assert all(seconds >= 0 for seconds in spent.buckets.values())
    tests = timed(project)
    assert [tests[f"test_it[{n}]"]["counts"]["queries"] for n in range(6)] == [1, 2, 3, 4, 5, 6]
    for test in tests.values():
        assert test["counts"]["commits"] == 1
        assert test["spent"]["cleaning"] > 0
        assert test["fixtures"]["test_it.py::waited"][0] >= 0.1
        assert not any("number" in fixture for fixture in test["fixtures"])  # a parameter is none
        assert test["own"][1] >= 0.2
        check_sum(test)


def test_module_that_cannot_be_imported(project: Project) -> None:
    project.write({"test_bad.py": "import sys\nsys.stderr.write('once')\nraise ValueError('bad')"})
    done = project.run(tests="def test_a(): pass")
    done.stdout.fnmatch_lines(["*ValueError: bad*"])
    assert done.ret == 2


def test_sqlalchemy_is_left_as_it_was(project: Project, tmp_path: Path) -> None:
    (project.path / "run.py").write_text(
        textwrap.dedent("""
        import pytest
        from sqlalchemy.engine.default import DefaultDialect
        before = dict(vars(DefaultDialect))
        assert pytest.main(["-q", "-p", "no:cacheprovider"]) == 0
        assert dict(vars(DefaultDialect)) == before
        """)
    )
    project.write({"test_it.py": TESTS})
    assert project.pytester.runpython(project.path / "run.py").ret == 0
