"""Tests that write to a database and wait: in sequence, and in flight together.

Both are the same file in a pytest process of its own; what differs is ``concurrency``.
Seconds of CPU are pytest's, without the server's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.measuring import Findings, Row, Target
from benchmarks.processes import scratch

TESTS = 1000
IN_FLIGHT = 50
GROUP = f"{TESTS} tests that write to three tables of PostgreSQL and wait 100 ms"
CONFIGURATION = """\
[tool.pytest.ini_options]
addopts = "-q -p no:cacheprovider -p asyncio -p slipstream"
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "session"
asyncio_default_test_loop_scope = "session"

[tool.slipstream.databases.main]
engine = "postgresql"
driver = "asyncpg"
schema = "schema.sql"
env = { DATABASE_URL = "{url}" }
"""
SCHEMA = """\
create table customer (id serial primary key, name text not null unique);
create table purchase (id serial primary key, customer_id int not null references customer);
create table note (id serial primary key, purchase_id int not null references purchase, text text);
"""
FILE = """\
import asyncio, os, pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])

@pytest.mark.parametrize("number", range(TESTS))
async def test_it(number):
    async with engine.begin() as connection:
        await connection.execute(text("insert into customer (name) values ('ada')"))
        await connection.execute(text("insert into purchase (customer_id) values (1)"))
        await connection.execute(text("insert into note (purchase_id, text) values (1, 'x')"))
    await asyncio.sleep(0.1)
    async with engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from note")) == 1
"""


class Taken(NamedTuple):
    """One run: seconds on the clock, seconds of CPU."""

    wall_s: float
    cpu_s: float


def in_flight(rounds: int) -> Findings:
    """Wall time and CPU, in turns."""
    taken: dict[str, list[Taken]] = {"in sequence": [], f"{IN_FLIGHT} in flight": []}
    with scratch() as directory:
        (directory / "pyproject.toml").write_text(CONFIGURATION)
        (directory / "schema.sql").write_text(SCHEMA)
        (directory / "test_it.py").write_text(FILE.replace("TESTS", str(TESTS)))
        for _ in range(rounds):
            for runs, concurrency in zip(taken.values(), (0, IN_FLIGHT), strict=True):
                _run(directory, concurrency, "-k", "test_it[0]")  # the server and its template
                runs.append(_run(directory, concurrency))
    sequence, together = taken.values()
    return Findings(
        tuple(
            Row(GROUP, name, median(run.wall_s for run in runs), None, len(runs))
            for name, runs in taken.items()
        ),
        (
            Target(
                f"{IN_FLIGHT} in flight, each with a database, faster than in sequence",
                median(run.wall_s for run in sequence) / median(run.wall_s for run in together),
                10,
                "x",
                at_least=True,
            ),
            Target(
                f"CPU of {IN_FLIGHT} in flight, over that of the same tests in sequence",
                median(run.cpu_s for run in together) / median(run.cpu_s for run in sequence),
                1.3,
                "x",
            ),
        ),
    )


def _run(directory: Path, concurrency: int, *options: str) -> Taken:
    command = [sys.executable, "-m", "pytest", f"--slipstream-concurrency={concurrency}", *options]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a second run finds bytecode
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} fails in {directory}")
    return Taken(wall_s, usage.ru_utime + usage.ru_stime)
