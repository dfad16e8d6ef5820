"""Memoised ``generate_schemas`` of Tortoise on SQLite: programs end as they do without."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tortoise import Tortoise
from tortoise.context import tortoise_test_context
from tortoise.exceptions import OperationalError
from tortoise.transactions import in_transaction

from memoised_tortoise import MODULE, compared
from pytest_slipstream.databases.engines.sqlite import content

ROUNDS = 5
KNOWN = 2
"""So many rounds go by until the script is known: unseen, and learnt."""
LABEL = "generate_schemas on SQLite"
pytestmark = pytest.mark.usefixtures("tortoise_models")


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
    counts = compared(in_memory, ROUNDS, audit=audit)

    assert counts.times == {LABEL: ROUNDS - KNOWN}
    assert counts.reasons == set()
    assert counts.checked == (ROUNDS - KNOWN if audit else 0)


def test_the_context_for_tests() -> None:
    async def program(number: int) -> object:
        async with tortoise_test_context([MODULE]) as context:
            await context.get_model("models", "Person").create(name="Ada")
            return await held()

    assert compared(program, ROUNDS).times == {LABEL: ROUNDS - KNOWN}


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

    assert compared(program, ROUNDS).times[LABEL] >= ROUNDS - KNOWN - 1


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

    compared(program, ROUNDS)


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

    assert compared(program, ROUNDS).times[LABEL] >= ROUNDS


def test_models_that_change_in_mid_run(tortoise_models: ModuleType) -> None:
    async def program(number: int) -> object:
        tortoise_models.Person._meta.fields_map["name"].max_length = 9 + number // 4
        return await in_memory(number)

    assert compared(program, ROUNDS).times == {LABEL: ROUNDS - KNOWN - 1}
