"""Databases of a server for programs that make and drop their own tables."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from memoised import Compared, NewDatabase
from memoised_mysql import MysqlTrial
from pytest_slipstream.databases import servers
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising import worth
from pytest_slipstream.settings import DatabaseSettings


@pytest.fixture(autouse=True)
def all_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is replaced does not depend on how fast the machine is."""
    monkeypatch.setattr(worth, "too_dear", lambda operations: None)
    monkeypatch.setattr(worth, "calls_to_rest", lambda looks_s, written_s: 0)


@pytest.fixture(autouse=True)
def only_drivers_that_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have imported mysqlclient, whose statements are not."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "MySQLdb"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture(scope="session")
def new_database(
    shared_cache_dir: Path, require_postgresql: None
) -> Generator[NewDatabase, None, None]:
    """Makes empty databases, as a project's own server has them."""
    from psycopg import connect

    from pytest_slipstream.databases.urls import url

    server = servers.of(DatabaseSettings(engine="postgresql"), cache_dir=shared_cache_dir)
    server.open(lambda message: None)
    maintenance = url(server.address(server.maintenance_database), driver="")
    numbers = itertools.count()
    made: list[str] = []

    def new() -> Address:
        made.append(f"own_{next(numbers)}_{id(made)}")
        connection.execute(f"CREATE DATABASE {made[-1]}".encode())
        return server.address(made[-1])

    with connect(maintenance, autocommit=True) as connection:
        yield new
        for name in made:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    server.close()


@pytest.fixture(scope="session")
def new_mysql_database(require_mysql: None) -> Generator[NewDatabase, None, None]:
    """The same, of a MariaDB server on which nobody else defines anything: it counts for all."""
    import pymysql

    directory = Path(tempfile.mkdtemp(prefix="sl-"))
    directory.chmod(0o755)
    server = servers.of(DatabaseSettings(engine="mysql"), cache_dir=directory)
    server.open(lambda message: None)
    maintenance = server.address(server.maintenance_database)
    numbers = itertools.count()
    made: list[str] = []

    def new() -> Address:
        made.append(f"own_{next(numbers)}_{id(made)}")
        connection.cursor().execute(f"CREATE DATABASE {made[-1]}")
        return server.address(made[-1])

    connection = pymysql.connect(
        unix_socket=maintenance.socket, user=maintenance.user, autocommit=True
    )
    yield new
    for name in made:
        connection.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
    connection.close()
    server.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def tortoise_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    from tortoise.backends.base import executor

    from memoised_tortoise import new_models

    # Tortoise keeps its INSERTs by the names of connection and table: another database's here, if
    # other tests of this process came before.
    monkeypatch.setattr(executor, "EXECUTOR_CACHE", {})
    yield from new_models()


@pytest.fixture
def compared_on_mysql(new_mysql_database: NewDatabase) -> Compared:
    return Compared(new_mysql_database, MysqlTrial)


@pytest.fixture
def compared(new_database: NewDatabase) -> Compared:
    return Compared(new_database)
