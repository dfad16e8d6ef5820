"""Memoised ``generate_schemas`` in databases that Tortoise makes and drops on PostgreSQL."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from urllib.parse import quote

import msgspec
import psycopg
import pytest
from tortoise import Tortoise
from tortoise.context import tortoise_test_context
from tortoise.exceptions import OperationalError

from memoised import NewDatabase
from memoised_tortoise import MODULE, Program, compared, use
from pytest_slipstream.databases.engines.postgresql import content
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.postgresql.places import told
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX
from pytest_slipstream.databases.urls import url

ROUNDS = 5
KNOWN = 2
"""So many databases there are until there is a template."""
LABEL = "generate_schemas on PostgreSQL"
pytestmark = pytest.mark.usefixtures("tortoise_models")
_numbers = itertools.count()


@pytest.fixture
def server(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """An address on the server, with a name for a database that nobody has made."""
    existing = new_database()
    monkeypatch.setenv("PGDATABASE", existing.database)
    name = f"tortoise_{id(existing)}_{next(_numbers)}"
    yield msgspec.structs.replace(existing, database=name)
    with psycopg.connect(url(existing, driver=""), autocommit=True) as connection:
        found = connection.execute("SELECT datname FROM pg_database").fetchall()
        for (left,) in found:
            assert not left.startswith(f"{PREFIX}{os.getpid()}_")
            if left.startswith(name):
                connection.execute(f"DROP DATABASE {left} WITH (FORCE)".encode())


def held(address: Address) -> dict[str, str]:
    """All that a database holds, without anything of slipstream's."""
    found = content.digest(address)
    assert not any(PREFIX in key for key in found)
    return told(found)


async def begin(address: Address) -> None:
    where = {"host": address.host, "port": address.port, "user": address.user}
    credentials = {**where, "password": address.password, "database": address.database}
    config = {
        "connections": {
            "default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}
        },
        "apps": {"models": {"models": [MODULE], "default_connection": "default"}},
    }
    await Tortoise.init(config=config, _create_db=True)


def for_each_test(
    address: Address, between: Callable[[int], None] = lambda number: None
) -> Program:
    async def program(number: int) -> object:
        await begin(address)
        between(number)
        try:
            await Tortoise.generate_schemas(safe=False)
            made = held(address)
            used = await use()
        except OperationalError as error:
            made, used = held(address), str(error)
        await Tortoise._drop_databases()
        return made, used

    return program


@pytest.mark.parametrize("audit", [False, True])
def test_a_database_for_each_test(server: Address, audit: bool) -> None:
    counts = compared(for_each_test(server), ROUNDS, audit=audit)

    assert counts.reasons == set()
    assert counts.times[LABEL] == ROUNDS - KNOWN
    assert counts.checked == (ROUNDS - KNOWN if audit else 0)


def test_the_context_for_tests(server: Address) -> None:
    credentials = f"{server.user}:{server.password}@"
    where = f"asyncpg://{credentials}:{server.port}/{server.database}_{{}}"

    async def program(number: int) -> object:
        target = f"{where}?host={quote(server.host, safe='')}"
        async with tortoise_test_context([MODULE], db_url=target):
            return await use()

    assert compared(program, ROUNDS).times[LABEL] == ROUNDS - KNOWN


EARLIER = (
    "CREATE TABLE person (number integer)",
    "CREATE TABLE beside (number integer)",
    "CREATE SCHEMA other",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
)


def test_a_database_that_is_changed_before_the_tables_are_made(server: Address) -> None:
    def between(number: int) -> None:
        if number >= KNOWN - 1:
            with psycopg.connect(url(server, driver=""), autocommit=True) as connection:
                connection.execute(EARLIER[number - KNOWN + 1].encode())

    counts = compared(for_each_test(server, between), ROUNDS)
    assert LABEL not in counts.times


def test_models_that_change_in_mid_run(server: Address, tortoise_models: ModuleType) -> None:
    def between(number: int) -> None:
        tortoise_models.Person._meta.fields_map["name"].max_length = 9 + (number == ROUNDS - 2)

    counts = compared(for_each_test(server, between), ROUNDS)

    assert counts.times[LABEL] == ROUNDS - KNOWN - 1
    assert counts.reasons == {"a script that is another than for the last database"}


def test_a_database_in_which_no_tables_are_made(server: Address) -> None:
    """It is left without any of slipstream's in the end."""
    made: list[Address] = []

    async def program(number: int) -> None:
        made.append(msgspec.structs.replace(server, database=f"{server.database}_{len(made)}"))
        await begin(made[-1])
        if number < KNOWN:
            await Tortoise.generate_schemas()
        await Tortoise.close_connections()

    compared(program, ROUNDS)
    assert [held(address) for address in made[ROUNDS:]] == [held(one) for one in made[:ROUNDS]]
