"""Memoised ``generate_schemas`` in databases that Tortoise makes and drops on MariaDB."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import msgspec
import pymysql
import pytest
from tortoise import Tortoise, fields
from tortoise.backends.base import executor
from tortoise.exceptions import OperationalError
from tortoise.models import Model

from memoised import NEVER_SAMPLED, Counts, NewDatabase
from pytest_slipstream.databases.engines.mysql import content
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.memoising import Memoising

ROUNDS = 6
MODULE = "models_on_mysql"
LABEL = "generate_schemas on MySQL or MariaDB"
Program = Callable[[int], Awaitable[object]]


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    # Tortoise keeps its INSERTs by the names of connection and table: SQLite's here, if other tests
    # of this process came before.
    monkeypatch.setattr(executor, "EXECUTOR_CACHE", {})

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
def server(new_mysql_database: NewDatabase) -> Iterator[Address]:
    """An address on the server, with a name for a database that nobody has made."""
    existing = new_mysql_database()
    address = msgspec.structs.replace(existing, database="tortoise")
    yield address
    with pymysql.connect(unix_socket=address.socket, user=address.user) as connection:
        connection.cursor().execute("DROP DATABASE IF EXISTS tortoise")


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


def where(address: Address) -> str:
    place = f"unix_socket={address.socket}"
    return f"mysql://{address.user}:@localhost:3306/{address.database}?{place}"


async def use() -> object:
    person: Any = sys.modules[MODULE].Person
    purchase: Any = sys.modules[MODULE].Purchase
    await purchase.create(person=await person.create(name="Ada"))
    return await person.all().values_list("id", "name"), await purchase.all().values_list("id")


def for_each_test(
    address: Address, between: Callable[[int], Awaitable[None]] | None = None
) -> Program:
    async def program(number: int) -> object:
        await Tortoise.init(db_url=where(address), modules={"models": [MODULE]}, _create_db=True)
        if between is not None:
            await between(number)
        try:
            await Tortoise.generate_schemas(safe=False)
            seen = await use()
        except OperationalError as error:
            seen = error.args[0].args
        held = content.digest(address) if number == ROUNDS - 1 else {}
        await Tortoise._drop_databases()
        return seen, held

    return program


@pytest.mark.parametrize("audit", [False, True])
def test_a_database_for_each_test(server: Address, audit: bool) -> None:
    counts = compared(for_each_test(server), audit=audit)

    assert counts.reasons == set()
    assert counts.times[LABEL] == ROUNDS - 3
    assert (counts.checked > 0) == audit


def test_tables_that_are_there(server: Address) -> None:
    async def between(number: int) -> None:
        client: Any = Tortoise.get_connection("default")
        await client.execute_script("CREATE TABLE person (id int)" if number == 4 else "SELECT 1")

    assert compared(for_each_test(server, between)).times[LABEL] > 0


def test_models_that_change_in_mid_run(server: Address, models: ModuleType) -> None:
    async def between(number: int) -> None:
        models.Person._meta.fields_map["name"].max_length = 9 if number < 4 else 11

    assert compared(for_each_test(server, between)).times[LABEL] > 0


def test_a_name_for_each_database(server: Address) -> None:
    async def program(number: int) -> object:
        address = msgspec.structs.replace(server, database=f"tortoise_{number}")
        return await for_each_test(address)(0)

    assert LABEL not in compared(program).times
