"""The fixtures as teams write them: every test makes the schema, fills it, and drops it again.

`TEST_DATABASE_URL` names a database on the server that CI has started.
"""

import os

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from app.database import get_session
from app.main import app
from app.models import Base
from app.roles import add_roles
from tests.people import add_people

# No pool: every test has an event loop of its own, and a connection belongs to its loop.
engine = create_async_engine(os.environ["TEST_DATABASE_URL"], poolclass=NullPool)
TestSessionLocal = async_sessionmaker(engine, expire_on_commit=False)


async def get_test_session():
    async with TestSessionLocal() as session:
        yield session


@pytest.fixture(autouse=True)
async def database():
    async with engine.begin() as connection:
        # What an interrupted run has left.
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with TestSessionLocal() as session:
        add_roles(session)
        await session.commit()
        await add_people(session)
        await session.commit()
    app.dependency_overrides[get_session] = get_test_session
    yield
    app.dependency_overrides.clear()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)


@pytest.fixture
async def session(database):
    async with TestSessionLocal() as session:
        yield session
