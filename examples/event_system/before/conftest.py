"""The fixtures as teams write them: tables once, all rows away after each test, one by one.

`TEST_DATABASE_URL` names an empty database on the server that CI has started.
"""

import os

os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

import pytest
from sqlalchemy import text

from app.database import engine
from app.models import Base
from tests.stock import fill


@pytest.fixture(scope="session", autouse=True)
async def tables():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


@pytest.fixture(autouse=True)
async def clean(tables):
    async with engine.begin() as connection:
        await fill(connection)
    yield
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
