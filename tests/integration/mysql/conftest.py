"""An engine on the run's embedded MariaDB, and slots of a schema that a test gives."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pymysql
import pytest

from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Engine, Owner
from pytest_slipstream.settings import DatabaseSettings
from trial_slots import Make, names_of_slots, trial_slots


@pytest.fixture(scope="session")
def owner() -> Owner:
    return Owner(testrun_uid=uuid.uuid4().hex, worker="main")


@pytest.fixture(scope="session")
def engine(
    shared_cache_dir: Path, owner: Owner, require_mysql: None
) -> Generator[Engine, None, None]:
    """With the server's own defaults, unlike the contract's."""
    settings = DatabaseSettings(engine="mysql")
    found = load("main", settings, cache_dir=shared_cache_dir, owner=owner)
    found.open(lambda message: None)
    yield found
    found.close()


@pytest.fixture(scope="session")
def slot_names(owner: Owner) -> Iterator[str]:
    return names_of_slots(owner)


@pytest.fixture
def trial(engine: Engine, slot_names: Iterator[str]) -> Generator[Make, None, None]:
    """A slot of a schema that is given as a script."""
    with trial_slots(engine, slot_names, pymysql.err.Error) as make:
        yield make
