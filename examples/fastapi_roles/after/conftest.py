"""All that is left: the schema and the seed are named in `pyproject.toml`."""

import pytest


@pytest.fixture
def session(async_db_session):
    return async_db_session
