"""A PostgreSQL engine on the run's embedded server, and slots of a schema that a test gives."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Engine, Owner
from pytest_slipstream.settings import DatabaseSettings
from trial_slots import Make, names_of_slots, trial_slots


@pytest.fixture(scope="session")
def owner() -> Owner:
    """This process, as slots and locks name it."""
    return Owner(testrun_uid=uuid.uuid4().hex, worker="main")


@pytest.fixture(scope="session")
def engine(
    shared_cache_dir: Path, require_servers: None, owner: Owner
) -> Generator[Engine, None, None]:
    """An open engine."""
    settings = DatabaseSettings(engine="postgresql")
    found = load("main", settings, cache_dir=shared_cache_dir, owner=owner)
    found.open(lambda message: None)
    yield found
    found.close()


@pytest.fixture(scope="session")
def slot_names(owner: Owner) -> Iterator[str]:
    return names_of_slots(owner)


@pytest.fixture
def try_schema(engine: Engine, slot_names: Iterator[str]) -> Generator[Make, None, None]:
    """Makes a template from a script and a slot from that."""
    with trial_slots(engine, slot_names, psycopg.Error) as make:
        yield make
