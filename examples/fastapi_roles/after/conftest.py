"""All that is left: a session of the application's own, for tests to look and to make data with."""

import pytest

from app.database import SessionLocal


@pytest.fixture
async def session():
    async with SessionLocal() as session:
        yield session
