"""Memoised ``generate_schemas`` in databases that Tortoise makes and drops on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import quote

import msgspec
import psycopg
import pytest
from tortoise import Tortoise, fields
from tortoise.context import tortoise_test_context
from tortoise.exceptions import OperationalError
from tortoise.models import Model

from memoised import NEVER_SAMPLED, Counts, NewDatabase
from pytest_slipstream.databases.engines.postgresql import content
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.memoising.postgresql_places import told
from pytest_slipstream.databases.memoising.postgresql_state import PREFIX
from pytest_slipstream.databases.urls import url

ROUNDS = 5
KNOWN = 2
"""So many databases there are until there is a template."""
MODULE = "models_on_postgresql"
LABEL = "generate_schemas on PostgreSQL"
Program = Callable[[int], Awaitable[object]]
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def models() -> Iterator[ModuleType]:
    class Person(Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=9, db_index=True)

        class Meta:
            table_description = "somebody"

    class Purchase(Model):
        id = fields.IntField(primary_key=True)
        person: Any = fields.ForeignKeyField("models.Person", related_name="purchases")

    module = sys.modules[MODULE] = ModuleType(MODULE)
    for model in (Person, Purchase):
        model.__module__ = MODULE
        setattr(module, model.__name__, model)
    yield module
    del sys.modules[MODULE]


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


def compared(program: Program, *, audit: bool = False) -> Counts:
    """Run it as it is and memoised, each round on a loop of its own; what it returns is equal."""
    plain = [asyncio.run(_one(program, number)) for number in range(ROUNDS)]
    memoising = Memoising(NEVER_SAMPLED, audit=audit)
    memoising.put_up()
    try:
        memoised = [asyncio.run(_one(program, number)) for number in range(ROUNDS)]
    finally:
        memoising.take_down()
    assert memoised == plain
    counts = Counts(memoising)
    assert counts.differences == []
    return counts


async def _one(program: Program, number: int) -> object:
    return await program(number)


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


async def use() -> object:
    models = sys.modules[MODULE]
    person: Any = models.Person
    purchase: Any = models.Purchase
    await purchase.create(person=await person.create(name="Ada"))
    return await person.all().values_list("id", "name"), await purchase.all().values_list("id")


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
    counts = compared(for_each_test(server), audit=audit)

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

    assert compared(program).times[LABEL] == ROUNDS - KNOWN


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

    counts = compared(for_each_test(server, between))
    assert LABEL not in counts.times


def test_models_that_change_in_mid_run(server: Address, models: ModuleType) -> None:
    def between(number: int) -> None:
        models.Person._meta.fields_map["name"].max_length = 9 + (number == ROUNDS - 2)

    counts = compared(for_each_test(server, between))

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

    compared(program)
    assert [held(address) for address in made[ROUNDS:]] == [held(one) for one in made[:ROUNDS]]
