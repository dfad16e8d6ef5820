"""A clean database for every test, as teams write it today."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shop.database import engine
from shop.models import Base
from shop.seed import seed


@pytest.fixture(autouse=True)
def clean_database() -> Iterator[None]:
    Base.metadata.create_all(engine)
    seed(engine.url.render_as_string(hide_password=False))
    yield
    Base.metadata.drop_all(engine)
