"""The strategy `rollback` beside the fixture of SQLAlchemy's manual, in whole runs of pytest.

A test's cost is the slope between a short run and a long one, less that of a test without a
database: so pytest's own part counts for nobody, and the plugin's counts for slipstream.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.databases import engine_of
from benchmarks.measuring import Findings, Row, Target
from benchmarks.postgresql import RIVAL, SETTINGS, rival_databases
from benchmarks.processes import project, run, scratch
from benchmarks.schema import WRITTEN, fill, tables
from pytest_slipstream.databases.urls import url

FEW, MANY = 20, 620
TESTS = """\
import pytest
from sqlalchemy import text

@pytest.mark.parametrize("number", range({count}))
def test_write(session, number):
    for table in {written!r}:
        session.execute(text(f"INSERT INTO {{table}} (name) VALUES ('written')"))
    session.commit()
"""
BY_HAND = """\
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

@pytest.fixture(scope="session")
def engine():
    engine = create_engine({url!r})
    yield engine
    engine.dispose()

@pytest.fixture
def session(engine):
    with engine.connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()
"""
OURS = """\
import os

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

engine = create_engine(os.environ["DATABASE_URL"])

@pytest.fixture
def session():
    with Session(engine) as session:
        yield session
"""
NO_DATABASE = """\
import pytest

class Session:
    def execute(self, statement): pass
    def commit(self): pass

@pytest.fixture
def session():
    yield Session()
"""
NAMES = {
    "by hand": "rollback by hand, SQLAlchemy create_savepoint",
    "rollback": "rollback",
    "reset": "reset",
}


def fixtures(rounds: int) -> Findings:
    """What a test that writes three tables costs by each way."""
    with ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine, _ = stack.enter_context(engine_of(SETTINGS))
        stack.enter_context(rival_databases(engine, tables(30)))
        rival = url(engine.address(RIVAL))
        fill(rival, tables(30))
        conftests = {
            "none": NO_DATABASE,
            "by hand": BY_HAND.format(url=rival),
            "rollback": OURS,
            "reset": OURS,
        }
        runs = {
            (way, count): prepared(directory / f"{way}-{count}", way, conftest, count)
            for way, conftest in conftests.items()
            for count in (FEW, MANY)
        }
        taken: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
        for number in range(rounds + 1):
            for key, once in runs.items():
                seconds, _ = once()
                if number:  # the first round makes templates and compiles modules
                    taken[key].append(seconds)
    slopes = {
        way: (median(taken[way, MANY]) - median(taken[way, FEW])) / (MANY - FEW)
        for way in conftests
    }
    cost = {way: slopes[way] - slopes["none"] for way in NAMES}
    group = "PostgreSQL, a test that writes 3 of 30 tables by a SQLAlchemy session, in a whole run"
    return Findings(
        tuple(Row(group, name, cost[way], None, rounds) for way, name in NAMES.items()),
        (
            Target(
                "a test with `rollback`, against SQLAlchemy's fixture by hand",
                cost["rollback"] / cost["by hand"],
                1.3,
                "times",
            ),
        ),
    )


def prepared(directory: Path, way: str, conftest: str, count: int) -> partial[tuple[float, float]]:
    """A project, and the call that runs it."""
    is_ours = way in ("rollback", "reset")
    tests = TESTS.format(count=count, written=WRITTEN)
    project(directory, tests, "postgresql" if is_ours else None)
    (directory / "conftest.py").write_text(conftest)
    if not is_ours:
        return partial(run, directory)
    return partial(
        run,
        directory,
        f"--slipstream-isolation={way}",
        "--slipstream-env=DATABASE_URL={url}",
    )
