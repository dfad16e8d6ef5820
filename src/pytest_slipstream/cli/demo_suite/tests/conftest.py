"""What the tests need: a session of the application's own, a customer, a product."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shop import database, services
from shop.models import Customer, Product
from sqlalchemy.orm import Session


@pytest.fixture
def session() -> Iterator[Session]:
    with database.Session() as session:
        yield session


@pytest.fixture
def ada(session: Session) -> Customer:
    return services.register(session, "ada@example.org", "Ada", "DE")


@pytest.fixture
def lathe(session: Session) -> Product:
    return services.offer(session, "L-1", "Small lathe", 10_000, category="tools", pieces=10)
