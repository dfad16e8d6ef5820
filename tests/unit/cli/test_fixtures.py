"""Hand-written fixtures that create, drop and empty are recognised."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.discovery import fixtures
from pytest_slipstream.cli.init import describe


@pytest.mark.parametrize(
    ("body", "does"),
    [
        ("Base.metadata.create_all(e)\n    yield\n    Base.metadata.drop_all(e)", "creates the"),
        ("await c.run_sync(Base.metadata.create_all)", "creates the tables"),
        ("s.execute(text('TRUNCATE users CASCADE'))", "empties tables"),
        ("s.execute('delete from users')", "empties tables"),
        ("c.execute(f'CREATE DATABASE {name}')", "creates a database"),
        ("with c.begin_nested(): yield", "wraps the test in a transaction"),
        ("Session(c, join_transaction_mode='create_savepoint')", "wraps the test"),
    ],
)
@pytest.mark.parametrize("decorator", ["pytest.fixture", "pytest.fixture(autouse=True)"])
def test_what_a_fixture_does(tree, decorator, body, does):
    code = f"import pytest\n@{decorator}\ndef database():\n    {body}\n"
    (found,) = fixtures.find(tree({"tests/conftest.py": code}))
    assert (found.name, str(found.place)) == ("database", "tests/conftest.py:3")
    assert does in " ".join(found.does)
    assert describe(found).endswith("it can be deleted")


def test_what_a_fixture_gives_to_tests_is_kept(tree):
    code = (
        "import pytest_asyncio\n@pytest_asyncio.fixture\nasync def session():\n"
        "    Base.metadata.create_all(e)\n    yield Session(e)\n"
    )
    (found,) = fixtures.find(tree({"conftest.py": code}))
    assert found.gives
    assert "keep what it gives" in describe(found)


def test_what_a_helper_does_for_a_fixture_counts(tree):
    code = (
        "import pytest\ndef with_test_db(models): database.create_tables(models)\n"
        "@pytest.fixture\ndef tables():\n    with with_test_db(MODELS): yield\n"
    )
    (found,) = fixtures.find(tree({"conftest.py": code}))
    assert (found.name, found.does) == ("tables", ("creates the tables",))


def test_packages_that_bring_a_server(tree):
    code = (
        "import pytest\nfrom pytest_postgresql import factories\n"
        "from testcontainers.postgres import PostgresContainer\n"
        "postgresql_proc = factories.postgresql_proc(port=None)\n"
        "@pytest.fixture(scope='session')\ndef container():\n    yield PostgresContainer('x')\n"
    )
    found = fixtures.find(tree({"conftest.py": code}))
    assert [(one.name, one.does) for one in found] == [
        ("postgresql_proc", ("starts PostgreSQL for the tests",)),
        ("container", ("starts a container for the tests",)),
    ]


def test_other_functions_and_fixtures_are_left_out(tree):
    code = (
        "import pytest\ndef create(): Base.metadata.create_all(e)\n"
        "@pytest.fixture\ndef client(): yield 1\n"
    )
    assert fixtures.find(tree({"conftest.py": code})) == []
