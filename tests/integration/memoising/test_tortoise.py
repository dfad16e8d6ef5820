"""Memoised ``generate_schemas`` of Tortoise on SQLite: programs end as they do without."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tortoise import Tortoise, fields
from tortoise.context import tortoise_test_context
from tortoise.exceptions import OperationalError
from tortoise.models import Model
from tortoise.transactions import in_transaction

from memoised import NEVER_SAMPLED, Counts
from pytest_slipstream.databases.engines.sqlite import content
from pytest_slipstream.databases.memoising.memoising import Memoising

ROUNDS = 5
KNOWN = 2
"""So many rounds go by until the script is known: unseen, and learnt."""
MODULE = "models_of_the_test"
LABEL = "generate_schemas on SQLite"
Program = Callable[[int], Awaitable[object]]


@pytest.fixture(autouse=True)
def models() -> Iterator[ModuleType]:
    class Person(Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=9, db_index=True)

    class Purchase(Model):
        id = fields.IntField(primary_key=True)
        person: Any = fields.ForeignKeyField("models.Person", related_name="purchases")

    module = sys.modules[MODULE] = ModuleType(MODULE)
    for model in (Person, Purchase):
        model.__module__ = MODULE
        setattr(module, model.__name__, model)
    yield module
    del sys.modules[MODULE]


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


async def held() -> object:
    """All that the database of the context holds."""
    client: Any = Tortoise.get_connection("default")
    async with client.acquire_connection() as connection:
        return await connection._execute(lambda: _content(connection._conn))


def _content(connection: sqlite3.Connection) -> object:
    factory, connection.row_factory = connection.row_factory, None
    try:
        return content.digest(connection)
    finally:
        connection.row_factory = factory


async def in_memory(number: int) -> object:
    await Tortoise.init(db_url="sqlite://:memory:", modules={"models": [MODULE]})
    try:
        await Tortoise.generate_schemas()
        person: Any = sys.modules[MODULE].Person
        await person.create(name="Ada")
        return await person.all().values_list("id", "name"), await held()
    finally:
        await Tortoise.close_connections()


@pytest.mark.parametrize("audit", [False, True])
def test_in_memory(audit: bool) -> None:
    counts = compared(in_memory, audit=audit)

    assert counts.times == {LABEL: ROUNDS - KNOWN}
    assert counts.reasons == set()
    assert counts.checked == (ROUNDS - KNOWN if audit else 0)


def test_the_context_for_tests() -> None:
    async def program(number: int) -> object:
        async with tortoise_test_context([MODULE]) as context:
            await context.get_model("models", "Person").create(name="Ada")
            return await held()

    assert compared(program).times == {LABEL: ROUNDS - KNOWN}


def test_a_file_that_has_everything_already(tmp_path: Path) -> None:
    async def program(number: int) -> object:
        await Tortoise.init(
            db_url=f"sqlite://{tmp_path}/own.db", modules={"models": [MODULE]}, _create_db=False
        )
        try:
            await Tortoise.generate_schemas()
            found = await held()
            if number == ROUNDS - 1:
                await Tortoise._drop_databases()
            return found
        finally:
            await Tortoise.close_connections()

    assert compared(program).times[LABEL] >= ROUNDS - KNOWN - 1


def test_tables_that_are_there_and_may_not_be() -> None:
    async def program(number: int) -> object:
        await Tortoise.init(db_url="sqlite://:memory:", modules={"models": [MODULE]})
        try:
            await Tortoise.generate_schemas(safe=False)
            await Tortoise.generate_schemas(safe=False)
        except OperationalError as error:
            return str(error), await held()
        finally:
            await Tortoise.close_connections()
        return None

    compared(program)


def test_in_a_transaction() -> None:
    async def program(number: int) -> object:
        await Tortoise.init(db_url="sqlite://:memory:", modules={"models": [MODULE]})
        try:
            await Tortoise.generate_schemas()
            async with in_transaction() as transaction:
                await transaction.execute_script("CREATE TABLE beside (id INTEGER)")
            await Tortoise.generate_schemas()
            return await held()
        finally:
            await Tortoise.close_connections()

    assert compared(program).times[LABEL] >= ROUNDS


def test_models_that_change_in_mid_run(models: ModuleType) -> None:
    async def program(number: int) -> object:
        models.Person._meta.fields_map["name"].max_length = 9 + number // 4
        return await in_memory(number)

    assert compared(program).times == {LABEL: ROUNDS - KNOWN - 1}
