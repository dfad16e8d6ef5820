"""Whole runs of pytest: how soon the first test begins, and what a test costs beyond its body."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from benchmarks.databases import engine_of
from benchmarks.measuring import Findings, Row, Target
from benchmarks.schema import tables
from pytest_slipstream.settings import DatabaseSettings

DIALECTS = {"postgresql": postgresql, "sqlite": sqlite}
FIRST_TEST = """\
import os, time

def test_first({fixture}):
    with open(os.environ["STAMP"], "w") as stamp:
        stamp.write(repr(time.time()))
"""
CPU_TESTS = """\
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_cpu(number):
    assert sum(range(20_000)) > number
"""


def project(directory: Path, test: str, engine: str | None) -> Path:
    """A project with one test file, and with a database of 30 tables if ``engine`` is given."""
    directory.mkdir()
    (directory / "test_it.py").write_text(test)
    settings = "[tool.pytest.ini_options]\n"
    if engine is not None:
        dialect = DIALECTS[engine].dialect()
        statements = [
            str(CreateTable(table).compile(dialect=dialect)).strip() + ";\n"
            for table in tables(30).sorted_tables
        ]
        (directory / "schema.sql").write_text("".join(statements))
        settings += (
            f'[tool.slipstream.databases.main]\nengine = "{engine}"\nschema = "schema.sql"\n'
        )
    (directory / "pyproject.toml").write_text(settings)
    return directory


def run(directory: Path, *options: str) -> tuple[float, float]:
    """Run pytest in a project; seconds in all, and until the first test's body (0 if unstamped)."""
    stamp = directory / "stamp"
    stamp.unlink(missing_ok=True)
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("PYTEST_")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "slipstream", *options]
    started, wall_clock = time.perf_counter(), time.time()
    finished = subprocess.run(
        command,
        cwd=directory,
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "STAMP": str(stamp)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    whole_s = time.perf_counter() - started
    if finished.returncode:
        raise RuntimeError(f"pytest in {directory} failed:\n{finished.stdout}")
    first_s = float(stamp.read_text()) - wall_clock if stamp.exists() else 0.0
    return whole_s, first_s


@contextmanager
def scratch() -> Iterator[Path]:
    with TemporaryDirectory(prefix="slipstream-bench-") as directory:
        yield Path(directory)


def starting(rounds: int) -> Findings:
    """From pytest's start to the first test's body, the template being there already."""
    with scratch() as directory:
        plain = project(directory / "plain", FIRST_TEST.format(fixture=""), None)
        test = FIRST_TEST.format(fixture="db_url")
        light = project(directory / "light", test, "sqlite")
        real = project(directory / "real", test, "postgresql")
        for each in (plain, light, real):
            run(each)
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, each in (
                ("no database", plain),
                ("SQLite", light),
                ("PostgreSQL, server down", real),
            ):
                taken.setdefault(name, []).append(run(each)[1])
            with engine_of(DatabaseSettings(engine="postgresql")):
                taken.setdefault("PostgreSQL, server up", []).append(run(real)[1])
    base = median(taken["no database"])
    rows = tuple(
        Row(
            "Second run: from pytest's start to the first test's body",
            name,
            median(each),
            None,
            rounds,
        )
        for name, each in taken.items()
    )
    promises = (("server down", 0.6), ("server up", 0.1))
    return Findings(
        rows,
        tuple(
            Target(
                f"second run, {server}: the first test begins later by",
                median(taken[f"PostgreSQL, {server}"]) - base,
                limit,
                "s",
            )
            for server, limit in promises
        ),
    )


def each_test(rounds: int) -> Findings:
    """What slipstream adds to a test that uses no database at all but owns a slot."""
    few, many = 20, 1020
    with scratch() as directory:
        projects = {
            (name, number): project(
                directory / f"{name}-{number}", CPU_TESTS.format(count=number), engine
            )
            for name, engine in (("none", None), ("sqlite", "sqlite"), ("postgresql", "postgresql"))
            for number in (few, many)
        }
        for each in projects.values():
            run(each)
        taken: dict[tuple[str, int], list[float]] = {key: [] for key in projects}
        for _ in range(rounds):
            for key, each in projects.items():
                taken[key].append(run(each)[0])
    cost = {
        name: (median(taken[name, many]) - median(taken[name, few])) / (many - few)
        for name in ("none", "sqlite", "postgresql")
    }
    group = "A test that only computes (0.2 ms), in a whole run"
    return Findings(
        tuple(
            Row(group, name, cost[key], cost[key] - cost["none"], rounds)
            for key, name in (
                ("none", "no database configured"),
                ("sqlite", "SQLite configured"),
                ("postgresql", "PostgreSQL configured"),
            )
        ),
        (
            Target(
                "added to a test that touched nothing, plugin included",
                (cost["postgresql"] - cost["none"]) * 1e3,
                0.3,
                "ms",
            ),
        ),
    )
