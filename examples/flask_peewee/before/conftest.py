"""The fixtures as teams write them: a random database for each worker, its tables for each test.

`TEST_SERVER_URL` names a database on the server that CI has started.
"""

import os
from contextlib import contextmanager
from uuid import uuid4

import psycopg2
import pytest

from app.database import database
from app.models import MODELS
from tests.people import fill


@pytest.fixture(scope="session", autouse=True)
def random_database():
    """A database that no other worker and no other run has."""
    name = f"test_{uuid4().hex}"
    server = psycopg2.connect(os.environ["TEST_SERVER_URL"])
    server.autocommit = True
    server.cursor().execute(f"CREATE DATABASE {name}")
    parameters = server.get_dsn_parameters()
    os.environ["DATABASE_URL"] = (
        f"postgresql+pool://{parameters['user']}@/{name}"
        f"?host={parameters['host']}&port={parameters['port']}"
    )
    yield
    database.close_all()
    server.cursor().execute(f"DROP DATABASE {name}")
    server.close()


@contextmanager
def with_test_db(models):
    """All tables, with the rows that every test needs; afterwards none."""
    database.create_tables(models)
    try:
        fill()
        yield
    finally:
        database.drop_tables(models)


@pytest.fixture(autouse=True)
def test_db(random_database, app):
    with with_test_db(MODELS):
        yield
