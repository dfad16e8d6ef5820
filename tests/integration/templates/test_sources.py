"""Each form of schema and seed, applied for real; and what goes wrong with each."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from pytest_slipstream.databases import naming
from pytest_slipstream.errors import TemplateError

if TYPE_CHECKING:
    from conftest import Bench

TABLE = """
    from sqlalchemy import Column, Integer, MetaData, String, Table
    metadata = MetaData()
    users = Table("users", metadata, Column("id", Integer, primary_key=True),
                  Column("name", String(20)))
"""
CALLABLES = """
    import os
    from sqlalchemy import create_engine, text
    from sqlalchemy.ext.asyncio import create_async_engine
    from models import metadata

    INSERT = text("INSERT INTO users (name) VALUES ('seeded')")

    def make(url):
        engine = create_engine(url)
        metadata.create_all(engine)

    def fill(url):
        # The connection stays open, as careless code leaves it.
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(INSERT)

    def fill_by_environment():
        fill(os.environ["DATABASE_URL"])

    async def fill_async(url):
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(INSERT)
        await engine.dispose()

    async def fill_and_leave(url):
        async with create_async_engine(url).begin() as connection:
            await connection.execute(INSERT)

    class Filler:
        def __call__(self, url):
            fill(url)

    class AsyncFiller:
        async def __call__(self, url):
            await fill_async(url)

    filler, afiller = Filler(), AsyncFiller()
"""
ASYNC_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg"}
SEEDED = [("seeded",)]


@pytest.fixture
def project(bench: Bench) -> Bench:
    bench.write({"models.py": TABLE, "calls.py": CALLABLES})
    bench.configure(schema=("models:metadata",))
    return bench


def test_sqlmodel(bench: Bench) -> None:
    # SQLModel has one MetaData for the whole process: the class is this test's own.
    name = f"hero_{bench.key}"
    bench.write(
        {
            "models.py": f"""
                from sqlmodel import Field, SQLModel
                class {name}(SQLModel, table=True):
                    id: int | None = Field(default=None, primary_key=True)
                    name: str
            """
        }
    )
    bench.configure(schema=("models:SQLModel",))
    assert bench.rows(f"SELECT name FROM {name}") == []


def test_a_list_is_applied_in_order(project: Bench) -> None:
    project.write(
        {
            "both.py": """
                from sqlalchemy import Column, Integer, MetaData, Table
                from sqlalchemy.orm import declarative_base
                from models import metadata
                Base = declarative_base()
                class Order(Base):
                    __tablename__ = "orders"
                    id = Column(Integer, primary_key=True)
                from calls import fill
                everything = [metadata, (Base, fill)]
            """
        }
    )
    project.configure(schema=("both:everything",))
    assert project.rows("SELECT name FROM users") == SEEDED
    assert project.rows("SELECT id FROM orders") == []


def test_a_callable_makes_the_schema_and_another_the_seed(project: Bench) -> None:
    project.configure(schema=("calls:make",), seed=("calls:fill",))
    assert project.rows("SELECT name FROM users") == SEEDED


@pytest.mark.parametrize("function", ["fill", "fill_async", "fill_and_leave", "filler", "afiller"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_callable_gets_the_url_with_a_driver_of_its_kind(
    project: Bench, function: str, is_async: bool
) -> None:
    driver = ASYNC_DRIVERS[project.settings.engine] if is_async else None
    project.configure(driver=driver, seed=(f"calls:{function}",))
    assert project.rows("SELECT name FROM users") == SEEDED


def test_no_driver_is_kept_for_what_is_not_sqlalchemy(project: Bench) -> None:
    project.write({"seeds.py": "async def fill(url):\n    assert '+' not in url, url"})
    project.configure(driver="", seed=("seeds:fill",))
    project.ready()
    assert project.built == [True]


def test_a_synchronous_callable_that_wants_an_async_driver_is_told_why_not(project: Bench) -> None:
    project.write(
        {
            "seeds.py": """
                from sqlalchemy.ext.asyncio import create_async_engine
                def fill(url):
                    create_async_engine(url.replace("+psycopg:", "+psycopg2:"))
            """
        }
    )
    project.configure(driver=ASYNC_DRIVERS[project.settings.engine], seed=("seeds:fill",))
    with pytest.raises(TemplateError) as caught:
        project.ready()
    assert caught.value.hint == (
        "write it as `async def`: a synchronous function gets a URL with a synchronous driver"
    )


@pytest.mark.parametrize("function", ["fill", "fill_async"])
@pytest.mark.asyncio
async def test_inside_a_running_loop(project: Bench, function: str) -> None:
    driver = ASYNC_DRIVERS[project.settings.engine]
    project.configure(driver=driver, seed=(f"calls:{function}",))
    assert project.rows("SELECT name FROM users") == SEEDED


def test_the_environment_points_at_the_build_database_and_is_put_back(
    project: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "the tests' own")
    project.configure(seed=("calls:fill_by_environment",), env={"DATABASE_URL": "{url}"})
    assert project.rows("SELECT name FROM users") == SEEDED
    assert os.environ["DATABASE_URL"] == "the tests' own"


def test_modules_are_imported_with_the_tests_own_environment(
    project: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "the tests' own")
    project.write(
        {
            "lasting.py": """
                import os
                URL = os.environ["DATABASE_URL"]
                def fill():
                    assert os.environ["DATABASE_URL"] != URL == "the tests' own"
            """
        }
    )
    project.configure(seed=("lasting:fill",), env={"DATABASE_URL": "{url}"})
    project.ready()
    assert project.built == [True]


@pytest.mark.parametrize("is_async", [False, True])
def test_an_engine_that_was_made_for_the_slot_reaches_the_build_database(
    project: Bench, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    if is_async:
        project.configure(driver=ASYNC_DRIVERS[project.settings.engine])
    with project.engine() as engine:
        from pytest_slipstream.databases import urls

        name = naming.slot_name(project.owner.testrun_uid, "main", project.key)
        url = urls.url(engine.address(name), project.settings.driver)
    monkeypatch.setenv("DATABASE_URL", url)
    project.write(
        {
            "application.py": """
                import os
                from sqlalchemy import create_engine
                from sqlalchemy.ext.asyncio import create_async_engine
                from calls import INSERT
                url = os.environ["DATABASE_URL"]
                if "asyncpg" in url or "aiosqlite" in url:
                    engine = create_async_engine(url)
                    async def fill():
                        async with engine.begin() as connection:
                            await connection.execute(INSERT)
                        await engine.dispose()
                else:
                    engine = create_engine(url)
                    def fill():
                        with engine.begin() as connection:
                            connection.execute(INSERT)
            """
        }
    )
    project.configure(seed=("application:fill",))
    assert project.rows("SELECT name FROM users") == SEEDED


def test_a_directory_of_scripts_runs_in_natural_order(bench: Bench) -> None:
    bench.write(
        {
            "db/10_fill.sql": "INSERT INTO users VALUES ('seeded');",
            "db/2_rename.sql": "ALTER TABLE people RENAME TO users;",
            "db/1_tables.sql": "\ufeffCREATE TABLE people (name TEXT);",
        }
    )
    bench.configure(schema=("db",))
    assert bench.rows("SELECT name FROM users") == SEEDED


def test_a_broken_script_names_file_line_and_statement(bench: Bench) -> None:
    bench.write(
        {"schema.sql": "CREATE TABLE a (x INT);\n\n-- then\nCREATE TABLE b (x INT);\nSELEC 1;\n"}
    )
    bench.configure(schema=("schema.sql",))
    with pytest.raises(TemplateError) as caught:
        bench.ready()
    where = re.escape(f"schema 'schema.sql': {bench.root / 'schema.sql'}:5: ")
    assert re.match(rf"{where}.*syntax error", caught.value.message)
    assert caught.value.message.endswith("in the statement: SELEC 1;") or (
        caught.value.message.endswith("in the statement: SELEC 1")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone.sql", "there is no file at"),
        ("gone/", "there is no directory with .sql files at"),
        ("gone/alembic.ini", "there is no file at"),
        ("bare.ini", "has no section [alembic] whose script_location is a directory"),
        ("latin.sql", "cannot be read: 'utf-8' codec"),
        ("odd:number", "it is an object of type 'int'"),
        ("odd:mixed", "it is a list that holds an object of type 'int'"),
        ("odd:empty", "it is empty"),
        ("odd:no_tables", "its MetaData has no tables"),
        ("odd:fails", "schema 'odd:fails' failed: ZeroDivisionError: division by zero ("),
        ("odd:exits", "schema 'odd:exits' failed: SystemExit: 3 ("),
    ],
)
def test_what_cannot_be_applied_is_named(bench: Bench, text: str, message: str) -> None:
    bench.write(
        {
            "bare.ini": "[other]\n",
            "odd.py": """
                from sqlalchemy import MetaData
                number, mixed, empty, no_tables = 7, [MetaData(), 7], [], MetaData()
                def fails(): 1 / 0
                def exits(): raise SystemExit(3)
            """,
        }
    )
    (bench.root / "latin.sql").write_bytes("SELECT 'ü';".encode("latin-1"))
    bench.configure(schema=(text,))
    with pytest.raises(TemplateError) as caught:
        bench.ready()
    assert message in caught.value.message
    assert text in caught.value.message


def test_metadata_is_no_seed(project: Bench) -> None:
    project.configure(seed=("models:metadata",))
    with pytest.raises(TemplateError, match="seed 'models:metadata': a MetaData has no rows"):
        project.ready()


def test_what_user_code_raised_is_the_cause(project: Bench) -> None:
    project.write({"seeds.py": "def fill(url):\n    {}['role']\n"})
    project.configure(seed=("seeds:fill",))
    with pytest.raises(TemplateError) as caught:
        project.ready()
    assert f"KeyError: 'role' ({project.root / 'seeds.py'}:2)" in caught.value.message
    assert isinstance(caught.value.__cause__, KeyError)
