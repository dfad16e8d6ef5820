"""Clients, and factories seeded by the test's own name. Nothing here makes a database."""

import zlib

import factory.random
import pytest
from fastapi.testclient import TestClient

from shop.models import Login
from tests.factories import ALL, UserFactory


@pytest.fixture
def reseed(request):
    """A function: start the random data again from the seed that is this test's name."""
    return lambda: factory.random.reseed_random(zlib.crc32(request.node.name.encode()))


@pytest.fixture(autouse=True)
def factories(session, reseed):
    reseed()
    for each in ALL:
        each._meta.sqlalchemy_session = session


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.fixture
def user(factories):
    return UserFactory()


@pytest.fixture
def log_in(app, session):
    """A function: a user's client, logged in."""

    def client_of(user):
        token = f"token-of-{user.id}"
        session.add(Login(token=token, user_id=user.id))
        session.commit()
        return TestClient(app, headers={"Authorization": f"Bearer {token}"})

    return client_of


@pytest.fixture
def shopper(log_in, user):
    """The user's client."""
    return log_in(user)


@pytest.fixture
def stranger(log_in, factories):
    """Another user's client."""
    return log_in(UserFactory())
