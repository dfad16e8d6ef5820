"""Memoised ``generate_schemas`` in databases that Tortoise makes and drops on MariaDB."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import msgspec
import pymysql
import pytest
from tortoise import Tortoise
from tortoise.exceptions import OperationalError

from memoised import NewDatabase
from memoised_tortoise import MODULE, Program, compared, use
from pytest_slipstream.databases.engines.mysql import content
from pytest_slipstream.databases.engines.protocol import Address

ROUNDS = 6
LABEL = "generate_schemas on MySQL or MariaDB"
pytestmark = pytest.mark.usefixtures("tortoise_models")


@pytest.fixture
def server(new_mysql_database: NewDatabase) -> Iterator[Address]:
    """An address on the server, with a name for a database that nobody has made."""
    existing = new_mysql_database()
    address = msgspec.structs.replace(existing, database="tortoise")
    yield address
    with pymysql.connect(unix_socket=address.socket, user=address.user) as connection:
        connection.cursor().execute("DROP DATABASE IF EXISTS tortoise")


def where(address: Address) -> str:
    place = f"unix_socket={address.socket}"
    return f"mysql://{address.user}:@localhost:3306/{address.database}?{place}"


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
    counts = compared(for_each_test(server), ROUNDS, audit=audit)

    assert counts.reasons == set()
    assert counts.times[LABEL] == ROUNDS - 3
    assert (counts.checked > 0) == audit


def test_tables_that_are_there(server: Address) -> None:
    async def between(number: int) -> None:
        client: Any = Tortoise.get_connection("default")
        await client.execute_script("CREATE TABLE person (id int)" if number == 4 else "SELECT 1")

    assert compared(for_each_test(server, between), ROUNDS).times[LABEL] > 0


def test_models_that_change_in_mid_run(server: Address, tortoise_models: ModuleType) -> None:
    async def between(number: int) -> None:
        tortoise_models.Person._meta.fields_map["name"].max_length = 9 if number < 4 else 11

    assert compared(for_each_test(server, between), ROUNDS).times[LABEL] > 0


def test_a_name_for_each_database(server: Address) -> None:
    async def program(number: int) -> object:
        address = msgspec.structs.replace(server, database=f"tortoise_{number}")
        return await for_each_test(address)(0)

    assert LABEL not in compared(program, ROUNDS).times
