"""What `--slipstream-memoize` costs a run that imports libraries and calls nothing of theirs.

Measured is what slipstream itself does, from before it is loaded: not the difference of two whole
runs, of which the libraries' own imports are nearly all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from statistics import median

from benchmarks.measuring import Findings, Row, Target

LIBRARIES = (
    *("psycopg", "psycopg2", "asyncpg", "pg8000"),
    *("pymysql", "MySQLdb", "asyncmy", "aiomysql"),
    *("sqlite3", "aiosqlite"),
    *("peewee", "sqlalchemy", "alembic.command", "tortoise.backends.asyncpg.client"),
)
CHILD = """
import importlib, sys, time
import pytest_slipstream.run

began = time.perf_counter()
from pytest_slipstream.databases.memoising.memoising import Memoising
memoising = Memoising("0" * 32, audit=False)
memoising.put_up()
own = [time.perf_counter() - began]

def timed(call_back):
    def called(module):
        began = time.perf_counter()
        call_back(module)
        own.append(time.perf_counter() - began)
    return called

for finder in sys.meta_path:
    if type(finder).__module__ == "pytest_slipstream.import_hook":
        finder._waiting = {name: timed(call) for name, call in finder._waiting.items()}
importlib.import_module(sys.argv[1])
print(sum(own))
"""


def added_s(library: str) -> float:
    """What memoising added to an import, in a process of its own."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-W", "ignore", "-c", CHILD, library]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(finished.stdout)


def importing(rounds: int) -> Findings:
    """Each library that is installed."""
    libraries = [name for name in LIBRARIES if find_spec(name.partition(".")[0]) is not None]
    taken: dict[str, list[float]] = {name: [] for name in libraries}
    for _ in range(rounds):
        for name in libraries:
            taken[name].append(added_s(name))
    group = "`--slipstream-memoize` and a run that imports a library"
    return Findings(
        tuple(Row(group, name, median(each), None, rounds) for name, each in taken.items()),
        tuple(
            Target(f"memoising, and an import of {name} alone", median(each) * 1e3, 5.0, "ms")
            for name, each in taken.items()
        ),
    )
