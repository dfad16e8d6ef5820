"""No database is made, no dependency overridden: the application runs as it does in production."""

import pytest
from sqlmodel import Session

from shop.main import create_app


@pytest.fixture(scope="session")
def app():
    return create_app()


@pytest.fixture
def session(app):
    with Session(app.state.engine) as session:
        yield session
