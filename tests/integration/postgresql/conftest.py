"""A PostgreSQL engine on the run's embedded server, and slots of a schema that a test gives."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Owner, Slot
from pytest_slipstream.settings import DatabaseSettings

Connection = psycopg.Connection[tuple[object, ...]]


class Trial:
    """A slot with the digest it started with, and a connection as an application has one."""

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self.engine = engine
        self.slot = slot
        self.before = slot.digest()
        self.connections: list[Connection] = []

    def connect(self) -> Connection:
        """A new connection, autocommit off; closed after the test at the latest."""
        self.connections.append(self.engine.connect(self.slot.address))
        return self.connections[-1]

    def commit(self, *statements: str) -> None:
        """Run statements in one transaction, on a connection that is closed afterwards."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

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
        return cleaning

    def escalate(self) -> Cleaning:
        """Clean, see that this was refused, and make the slot anew."""
        cleaning = self.slot.clean()
        assert cleaning.cannot is not None
        self.slot.replace()
        assert self.differences() == set()
        return cleaning


@contextmanager
def trials(
    engine: Engine, owner: Owner, numbers: Callable[[], int]
) -> Iterator[Callable[[str], Trial]]:
    """While it lasts, a function that makes a template from a script and a slot from that."""
    made: list[tuple[Trial, str]] = []

    def make(script: str) -> Trial:
        number = numbers()
        template = naming.template_name("pg", f"{owner.testrun_uid[:12]}{number:04x}")
        with engine.build_lock(template):
            address = engine.begin_build(template)
            engine.run_script(address, script)
            engine.publish(template, "pg", "f" * 64)
        name = naming.slot_name(owner.testrun_uid, owner.worker, "pg", number)
        made.append((Trial(engine, engine.create_slot(name, template)), template))
        return made[-1][0]

    yield make
    for trial, template in made:
        for connection in trial.connections:
            connection.close()
        trial.slot.close()
        engine.drop_template(template)


@pytest.fixture(scope="session")
def owner() -> Owner:
    """This process, as slots and locks name it."""
    return Owner(testrun_uid=uuid.uuid4().hex, worker="main")


@pytest.fixture(scope="session")
def engine(
    shared_cache_dir: Path, require_servers: None, owner: Owner
) -> Generator[Engine, None, None]:
    """An open engine."""
    engine = load(
        "pg", DatabaseSettings(engine="postgresql"), cache_dir=shared_cache_dir, owner=owner
    )
    engine.open(lambda message: None)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def numbers() -> Callable[[], int]:
    """Counts slots and templates."""
    counter = itertools.count()
    return lambda: next(counter)


@pytest.fixture
def try_schema(
    engine: Engine, owner: Owner, numbers: Callable[[], int]
) -> Generator[Callable[[str], Trial], None, None]:
    """Makes a template from a script and a slot from that."""
    with trials(engine, owner, numbers) as make:
        yield make
