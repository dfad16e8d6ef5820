"""The fixtures as teams write them: every test makes the schema, fills it, and drops it again.

`TEST_DATABASE_URL` names a database on the server that CI has started.
"""

import os

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from app.database import get_session
from app.main import app
from app.models import Base
from app.roles import add_roles
from tests.people import add_people


@pytest.fixture
async def engine():
    engine = create_async_engine(os.environ["TEST_DATABASE_URL"])
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


@pytest.fixture
async def sessions(engine):
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with sessions() as session:
        add_roles(session)
        await session.commit()
        await add_people(session)
        await session.commit()
    return sessions


@pytest.fixture(autouse=True)
def override_session(sessions):
    async def get_test_session():
        async with sessions() as session:
            yield session

    app.dependency_overrides[get_session] = get_test_session
    yield
    app.dependency_overrides.clear()


@pytest.fixture
async def session(sessions):
    async with sessions() as session:
        yield session
