"""The fixtures as teams write them: a database and an override for each test."""

import os

import pytest
from sqlalchemy import event
from sqlalchemy.pool import StaticPool
from sqlmodel import Session, SQLModel, create_engine

from shop.catalogue import add_products
from shop.database import get_session
from shop.main import create_app

URL = os.environ.get("SHOP_TEST_DATABASE_URL", "sqlite://")
IN_MEMORY = {"connect_args": {"check_same_thread": False}, "poolclass": StaticPool}
APP = create_app(URL)


@pytest.fixture
def engine():
    engine = create_engine(URL, **(IN_MEMORY if URL == "sqlite://" else {}))
    if engine.dialect.name == "sqlite":
        event.listen(
            engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON")
        )
    SQLModel.metadata.create_all(engine)
    yield engine
    SQLModel.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        add_products(session)
        session.commit()
        yield session


@pytest.fixture
def app(engine, session):
    def get_test_session():
        with Session(engine) as session:
            yield session

    APP.dependency_overrides[get_session] = get_test_session
    yield APP
    APP.dependency_overrides.clear()
