"""An engine on the run's embedded MariaDB, and slots of a schema that a test gives."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Owner, Slot
from pytest_slipstream.settings import DatabaseSettings


class Trial:
    """A slot with the digest it started with, and connections as an application has them."""

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self.engine = engine
        self.slot = slot
        self.before = slot.digest()
        self.connections: list[Any] = []

    def connect(self) -> Any:
        """A new connection, autocommit off; closed after the test at the latest."""
        self.connections.append(self.engine.connect(self.slot.address))
        return self.connections[-1]

    def commit(self, *statements: str) -> None:
        """Run statements in one transaction, on a connection that is closed afterwards."""
        with closing(self.engine.connect(self.slot.address)) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()

    def value(self, query: str) -> Any:
        """The first value of a query."""
        with closing(self.engine.connect(self.slot.address)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return cursor.fetchone()[0]

    def differences(self) -> set[str]:
        """The keys in which the slot differs from how it started."""
        now = self.slot.digest()
        return {
            key for key in now.keys() | self.before.keys() if now.get(key) != self.before.get(key)
        }

    def reset(self) -> Cleaning:
        """Clean in place and see that this was enough."""
        cleaning = self.slot.clean()
        assert cleaning.cannot is None, cleaning.cannot
        assert self.differences() == set()
        assert self.slot.clean() == Cleaning()
        return cleaning

    def escalate(self) -> Cleaning:
        """Clean, see that this was refused, and make the slot anew."""
        cleaning = self.slot.clean()
        assert cleaning.cannot is not None
        self.slot.replace()
        assert self.differences() == set()
        return cleaning


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
    return (
        naming.slot_name(owner.testrun_uid, owner.worker, "main", number)
        for number in itertools.count()
    )


def publish(engine: Engine, script: str) -> str:
    """A template made by a script."""
    template = naming.template_name("main", uuid.uuid4().hex)
    with engine.build_lock(template):
        try:
            engine.run_script(engine.begin_build(template), script)
            engine.publish(template, "main", template)
        except BaseException:
            engine.abandon_build(template)
            raise
    return template


@pytest.fixture
def trial(
    engine: Engine, slot_names: Iterator[str]
) -> Generator[Callable[[str], Trial], None, None]:
    """A slot of a schema that is given as a script."""
    made: list[Trial] = []

    def make(script: str) -> Trial:
        made.append(Trial(engine, engine.create_slot(next(slot_names), publish(engine, script))))
        return made[-1]

    yield make
    for found in made:
        for connection in found.connections:
            with suppress(pymysql.err.Error):  # slipstream may have ended it
                connection.close()
        found.slot.close()
