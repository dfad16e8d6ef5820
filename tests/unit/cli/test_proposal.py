"""What was found becomes a configuration that decodes, or a question with its choices."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.discovery.proposal import look, propose
from pytest_slipstream.cli.init import check, extended
from pytest_slipstream.errors import ConfigurationError

MODELS = """
from sqlalchemy.orm import DeclarativeBase
class Base(DeclarativeBase): ...
class User(Base):
    __tablename__ = "user"
    id = 1
"""
CREATES = "import pytest\n@pytest.fixture\ndef t():\n    Base.metadata.create_all(e)\n"


def read_url(default: str = "", name: str = "DATABASE_URL") -> str:
    return f"import os\nurl = os.getenv({name!r}, {default!r})\n"


def proposed(tree, files, **chosen):
    found = propose(look(tree({"models.py": MODELS} | files)), **chosen)
    if not found.open:
        check(extended(b"", found.table))
    return found


@pytest.mark.parametrize(
    ("url", "lines"),
    [
        ("postgresql+asyncpg://h/d", ['engine = "postgresql"', 'driver = "asyncpg"']),
        ("postgresql+psycopg://h/d", ['engine = "postgresql"']),
        ("mysql://h/d", ['engine = "mysql"']),
        ("mariadb+asyncmy://h/d", ['engine = "mysql"', 'driver = "asyncmy"']),
        ("sqlite:///a.db", ['engine = "sqlite"']),
        ("sqlite+aiosqlite:///a.db", ['engine = "sqlite"', 'driver = "aiosqlite"']),
    ],
)
def test_engine_and_driver_of_the_default_url(tree, url, lines):
    found = proposed(tree, {"config.py": read_url(url)})
    assert found.open == ()
    table = found.table.splitlines()
    assert [line for line in table if line.startswith(("engine", "driver"))] == lines
    assert 'schema = "models:Base.metadata"' in table
    assert 'env = { DATABASE_URL = "{url}" }' in table


def test_the_driver_is_told_by_what_the_project_requires(tree):
    files = {"config.py": read_url(), "requirements.txt": "asyncpg\n"}
    assert 'driver = "asyncpg"' in proposed(tree, files).table


def test_a_url_without_driver_means_psycopg2_where_it_is_required(tree):
    files = {"config.py": read_url("postgresql://h/d"), "requirements.txt": "psycopg2-binary\n"}
    assert 'driver = "psycopg2"' in proposed(tree, files).table


def test_a_second_url_keeps_its_own_driver(tree):
    files = {
        "config.py": read_url("postgresql+asyncpg://h/d")
        + read_url("postgresql+psycopg://h/d", "SYNC_DATABASE_URL")
    }
    table = proposed(tree, files).table
    assert 'DATABASE_URL = "{url}"' in table
    assert (
        'SYNC_DATABASE_URL = "postgresql+psycopg://{user}@/{database}?host={socket_dir}"' in table
    )


def test_a_second_url_of_mysql_names_the_socket(tree):
    files = {
        "config.py": read_url("mysql+asyncmy://h/d")
        + read_url("mysql+pymysql://h/d", "SYNC_DATABASE_URL")
    }
    table = proposed(tree, files).table
    assert 'SYNC_DATABASE_URL = "mysql+pymysql://{user}@/{database}?unix_socket={socket}"' in table


def test_mysqlclient_is_what_a_url_without_driver_means(tree):
    files = {"config.py": read_url("mysql://h/d"), "requirements.txt": "pymysql\nmysqlclient\n"}
    assert 'driver = "mysqldb"' in proposed(tree, files).table


def test_parts_of_a_url_need_a_host_and_a_port(tree):
    code = "import os\n" + "".join(
        f"os.environ['POSTGRES_{part}']\n" for part in ("SERVER", "PORT", "USER", "PASSWORD", "DB")
    )
    table = proposed(tree, {"config.py": code, "requirements.txt": "psycopg\n"}).table
    assert "tcp = true" in table
    assert 'POSTGRES_SERVER = "{host}"' in table
    assert 'POSTGRES_DB = "{database}"' in table


def test_migrations_make_the_schema(tree):
    files = {"config.py": read_url("sqlite://"), "alembic.ini": "[alembic]\n"}
    assert 'schema = "alembic.ini"' in proposed(tree, files).table


def test_tests_that_create_from_metadata_today_go_on_so(tree):
    files = {"config.py": read_url("sqlite://"), "alembic.ini": "", "conftest.py": CREATES}
    assert 'schema = "models:Base.metadata"' in proposed(tree, files).table


@pytest.mark.parametrize(("read", "missing"), [("HOST", "port"), ("PORT", "host")])
def test_parts_without_host_or_port_would_reach_another_server(tree, read, missing):
    parts = "".join(f"os.environ['MYSQL_{part}']\n" for part in ("USER", "DATABASE", read))
    files = {"db.py": f"import os\n{parts}", "requirements.txt": "pymysql\n"}
    assert proposed(tree, files).unreached == (
        f"the application reads MYSQL_{read} (db.py:4) and no variable with the database's "
        f"{missing}, so it would reach another server than slipstream's"
    )


def test_two_products_are_a_question(tree):
    files = {
        "a.py": read_url("sqlite://", "DB_URL"),
        "b.py": read_url("postgresql://h/d", "DATABASE_URL"),
    }
    (undecided,) = proposed(tree, files).open
    assert undecided.option == "--engine"
    assert "a.py:2" in undecided.problem
    assert "b.py:2" in undecided.problem
    assert proposed(tree, files, engine="sqlite").open == ()


def test_two_schemas_are_a_question(tree):
    files = {"other.py": MODELS, "config.py": read_url("sqlite://")}
    (undecided,) = proposed(tree, files).open
    assert undecided.choices == ("models:Base.metadata", "other:Base.metadata")
    chosen = proposed(tree, files, schema="other:Base.metadata")
    assert 'schema = "other:Base.metadata"' in chosen.table


def test_a_url_that_is_written_out_is_pointed_at(tree):
    found = proposed(tree, {"db.py": "url = 'sqlite:///a.db'\n"})
    assert "env" not in found.table
    assert "db.py:1" in found.notes[0]


def test_tests_on_another_product_are_pointed_at(tree):
    files = {
        "config.py": read_url("postgresql+psycopg://h/d"),
        "tests/conftest.py": "url = 'sqlite://'\n",
    }
    assert any("they use PostgreSQL" in note for note in proposed(tree, files).notes)


def test_models_that_the_schema_does_not_import_are_pointed_at(tree):
    extra = "from models import Base\nclass More(Base):\n    __tablename__ = 'more'\n"
    found = proposed(tree, {"config.py": read_url("sqlite://"), "more.py": extra, "also.py": extra})
    assert any("does not import" in note for note in found.notes)


def test_what_was_there_stays_byte_for_byte():
    before = b'[project]\r\nname = "x" # kept'
    after = extended(before, "[tool.slipstream.databases.main]\nengine = 'sqlite'\n")
    assert after.startswith(before + b"\r\n\r\n[tool.slipstream")
    assert b"\n" not in after.replace(b"\r\n", b"")


def test_a_file_that_would_not_decode_is_not_written():
    with pytest.raises(ConfigurationError):
        check(extended(b"tool = { other = 1 }\n", "[tool.slipstream]\naudit = true\n"))
