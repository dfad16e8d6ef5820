"""Operations that are called too seldom to be worth it are left alone, and cost nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_slipstream.databases.memoising.first_calls import FirstCalls, Seen

ONCE = """
import sys
from sqlalchemy import MetaData, create_engine
import alembic.command, asyncpg, peewee, psycopg, pymysql, tortoise.backends.base_postgres.client
from pytest_slipstream.databases.memoising.memoising import Memoising

before = set(sys.modules)
memoising = Memoising("0" * 32, audit=False)
memoising.put_up()
metadata, engine = MetaData(), create_engine("sqlite://")
metadata.create_all(engine)
metadata.drop_all(engine)
print(*sorted(name for name in set(sys.modules) - before if name.startswith("pytest_slipstream")))
metadata.create_all(engine)
print("pytest_slipstream.databases.memoising.sqlalchemy.calls" in sys.modules)
memoising.take_down()
"""

LIBRARIES = (
    *("psycopg", "psycopg2", "asyncpg", "pymysql", "aiomysql", "asyncmy", "sqlite3", "aiosqlite"),
    *("sqlalchemy", "sqlalchemy.dialects.postgresql.asyncpg", "peewee", "alembic.command"),
    *("tortoise", "tortoise.backends.asyncpg.client", "tortoise.backends.sqlite.client"),
)
DOORS = {
    *("first_calls", "ledger", "memoising", "tls_contexts"),
    *("mysql", "mysql.on_mysql", "mysql.onlookers", "mysql.sending"),
    *("whole", "whole.calls", "whole.concerns"),
}
"""All that is loaded where libraries are imported, and none of their operations called."""
IMPORTS = """
import importlib, sys
import pytest_slipstream.unchanged

memoising = pytest_slipstream.unchanged.Memoising("0" * 32, audit=False)
memoising.put_up()
before = set(sys.modules)
for library in sys.argv[1:]:
    importlib.import_module(library)
print(*sorted(set(sys.modules) - before))
print(*sorted(name for name in sys.modules if name.startswith("pytest_slipstream.databases.")))
memoising.take_down()
"""


class Library:
    def make(self, what: str) -> str:
        return f"made {what}"


def followed() -> tuple[FirstCalls, list[str], Library]:
    library, calls = Library(), []
    seen = Seen()

    def follow() -> None:
        calls.append("followed")

    return FirstCalls(Library, ("make",), follow, seen.is_new), calls, library


def test_the_first_call_is_spared_and_the_second_followed_once() -> None:
    original = Library.make
    first, calls, library = followed()
    first.put_up()
    kept = library.make
    assert (library.make("tea"), calls) == ("made tea", [])
    assert (library.make("pot"), calls) == ("made pot", ["followed"])
    assert Library.make is original
    assert (kept("cup"), calls) == ("made cup", ["followed"])


def test_what_is_taken_down_follows_no_more() -> None:
    first, calls, library = followed()
    first.put_up()
    kept = library.make
    first.take_down()
    assert [kept("tea"), kept("pot"), calls] == ["made tea", "made pot", []]


@pytest.mark.parametrize("name", ["create_all", "drop_all"])
def test_each_operation_is_new_once(name: str) -> None:
    seen, library = Seen(), Library()
    assert [seen.is_new(name, library), seen.is_new(name, library)] == [True, False]
    assert seen.is_new("another", library)


def test_who_creates_once_does_not_import_what_memoises() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ONCE], capture_output=True, text=True, check=True
    )
    loaded, after = finished.stdout.splitlines()
    heavy = ("memoising.checking", "memoising.sqlalchemy", "engines.sqlite", "servers")
    assert not any(name.endswith(heavy) for name in loaded.split())
    assert after == "True"


def imported(*libraries: str) -> tuple[list[str], list[str]]:
    """What is loaded with libraries, and what is loaded of slipstream's databases then."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORTS, *libraries]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, ours = finished.stdout.splitlines()
    return loaded.split(), ours.split()


def test_who_only_imports_libraries_loads_nothing_but_doors() -> None:
    package = "pytest_slipstream.databases.memoising"
    loaded, ours = imported(*LIBRARIES)
    assert set(LIBRARIES) - {"sqlite3"} <= set(loaded)
    doors = {package, *(f"{package}.{door}" for door in DOORS)}
    assert set(ours) == doors | {"pytest_slipstream.databases.shared_statements"}


def test_the_door_to_a_driver_loads_nothing_that_the_driver_does_not() -> None:
    loaded, _ = imported("psycopg2")
    assert "asyncio" not in loaded
