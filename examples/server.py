"""A PostgreSQL server for the hand-written halves: what a CI job's service container gives them.

It is the server that slipstream itself would start, with the same fast settings, so that a
comparison says something about the fixtures and nothing about servers. Only autovacuum is on:
slipstream does without, but making and dropping thirty tables for each test fills the catalogue
with dead rows, and the hand-written half would become slower with every test. It runs every second,
which is more often than by default.

    python -m examples.server pytest examples/fastapi_roles/before
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from pytest_slipstream.databases import servers
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers import mysql_binaries
from pytest_slipstream.databases.urls import url
from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.settings import DatabaseSettings

DATABASE = "hand_written"
SETTINGS = DatabaseSettings(
    engine="postgresql", server_options={"autovacuum": "on", "autovacuum_naptime": "1s"}
)


@contextmanager
def empty_database() -> Iterator[Address]:
    """An empty database on a running server; both go when the block ends."""
    server = servers.of(SETTINGS, cache_dir=cache_directory(None, os.environ))
    server.open(lambda _: None)
    try:
        maintenance = url(server.address(server.maintenance_database), driver="")
        with psycopg.connect(maintenance, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {DATABASE}")
            yield server.address(DATABASE)
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    finally:
        server.close()


def has_mysql(environ: Mapping[str, str]) -> bool:
    """Whether MariaDB or MySQL can be started here; where CI says that it must be, it is."""
    try:
        mysql_binaries.find_binaries(environ)
    except SlipstreamError:
        return bool(environ.get("SLIPSTREAM_REQUIRE_SERVERS"))
    return True


def environment(address: Address) -> dict[str, str]:
    """What the hand-written halves read: SQLAlchemy's URL of the database, and libpq's."""
    return {
        "TEST_DATABASE_URL": url(address, driver="asyncpg"),
        "TEST_SERVER_URL": url(address, driver=""),
    }


def main() -> int:
    """Run the command of the arguments with the database's URLs in its environment."""
    with empty_database() as address:
        variables = {**os.environ, **environment(address)}
        return subprocess.run(sys.argv[1:], env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
