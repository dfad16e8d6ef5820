"""Async code under `rollback`: frameworks, event loops, what is contained and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_applications import configuration, files
from projects import Project

from .test_async_drivers import PYTEST_OPTIONS


def made(pytester: pytest.Pytester, application: str) -> Project:
    project = Project(pytester, configuration(application, "rollback"))
    project.configure(configuration(application, "rollback"), PYTEST_OPTIONS)
    project.write(files(application))
    return project


CONNECTIONS = """
    import os
    import asyncpg
    import pytest

    @pytest.fixture
    async def connections():
        made = [await asyncpg.connect(os.environ["DATABASE_URL"]) for _ in range(2)]
        yield made
        for connection in made:
            await connection.close()
"""


@pytest.fixture
def asyncpg_project(pytester: pytest.Pytester, cache_dir: Path) -> Project:
    """An application on asyncpg, and a fixture with two connections of the tests' own."""
    project = made(pytester, "asyncpg")
    project.write({"conftest.py": CONNECTIONS})
    return project


@pytest.fixture(params=["sqlalchemy-asyncpg", "sqlalchemy-psycopg", "sqlalchemy-aiosqlite"])
def sqlalchemy_project(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, cache_dir: Path
) -> Project:
    """An application with an async engine that is made when it is imported."""
    return made(pytester, request.param)


def strategies(project: Project) -> list[str]:
    return [event["strategy"] for event in project.events("TestCleaned") if event["node_id"]]


def reasons(project: Project) -> list[str]:
    return [event["reason"] for event in project.events("Uncontained")]


WEB = """
    from fastapi import FastAPI, HTTPException
    from app import people

    app = FastAPI()

    @app.post("/people/{name}", status_code=201)
    async def add(name: str):
        try:
            await people.add(name)
        except people.Taken:
            raise HTTPException(409)

    @app.get("/people")
    async def names():
        return await people.names()
"""


def test_fastapi_with_httpx_and_with_its_test_client(sqlalchemy_project: Project) -> None:
    """The test client runs the application on an event loop and a thread of its own."""
    options = PYTEST_OPTIONS.replace('["error"]', '["error", "ignore:Using `httpx`"]')
    sqlalchemy_project.configure(configuration_of(sqlalchemy_project), options)
    sqlalchemy_project.write({"app/web.py": WEB})
    result = sqlalchemy_project.run(
        "--slipstream-audit",
        tests="""
            import httpx
            import pytest
            from fastapi.testclient import TestClient
            from app import people
            from app.web import app

            @pytest.mark.parametrize("n", range(2))
            async def test_with_httpx(n):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
                    assert (await client.post("/people/ada")).status_code == 201
                    assert (await client.post("/people/ada")).status_code == 409
                    await people.add("bob")
                    assert (await client.get("/people")).json() == ["ada", "bob"]

            @pytest.mark.parametrize("n", range(2))
            def test_with_the_test_client(n):
                with TestClient(app) as client:
                    assert client.post("/people/ada").status_code == 201
                    assert client.post("/people/ada").status_code == 409
                    assert client.get("/people").json() == ["ada"]

            @pytest.mark.parametrize("n", range(2))
            def test_with_an_event_loop_for_each_request(n):
                client = TestClient(app)
                assert client.post("/people/ada").status_code == 201
                assert client.get("/people").json() == ["ada"]

            @pytest.mark.parametrize("n", range(2))
            async def test_with_the_test_client_in_the_middle_of_a_loop(n):
                await people.add("bob")
                with TestClient(app) as client:
                    assert client.post("/people/ada").status_code == 201
                assert await people.names() == ["bob", "ada"]
        """,
    )
    result.assert_outcomes(passed=8)
    assert reasons(sqlalchemy_project) == []
    assert strategies(sqlalchemy_project) == ["rollback"] * 8


def test_anyio(sqlalchemy_project: Project) -> None:
    sqlalchemy_project.configure(
        configuration_of(sqlalchemy_project),
        'addopts = "-p no:asyncio"\nfilterwarnings = ["error"]',
    )
    result = sqlalchemy_project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import people

            @pytest.fixture
            def anyio_backend():
                return "asyncio"

            @pytest.mark.anyio
            @pytest.mark.parametrize("n", range(2))
            async def test_commits(n):
                assert await people.names() == []
                await people.add("ada")
                assert await people.names() == ["ada"]
        """,
    )
    result.assert_outcomes(passed=2)
    assert strategies(sqlalchemy_project) == ["rollback"] * 2


def configuration_of(project: Project) -> str:
    text = (project.path / "pyproject.toml").read_text()
    return text.partition("[tool.pytest.ini_options]")[0]


def test_a_target_is_found_however_it_is_named(asyncpg_project: Project) -> None:
    result = asyncpg_project.run(
        "--slipstream-audit",
        tests="""
            import os
            from urllib.parse import parse_qs, urlsplit
            import asyncpg
            import pytest
            from app import people

            url = urlsplit(os.environ["DATABASE_URL"])
            host, port = (parse_qs(url.query)[name][0] for name in ("host", "port"))
            database = url.path.strip("/")

            def dsn(monkeypatch):
                return (os.environ["DATABASE_URL"],), {}

            def keywords(monkeypatch):
                return (), dict(host=host, port=port, user=url.username, database=database)

            def query(monkeypatch):
                return (f"postgresql://?host={host}&port={port}&user={url.username}"
                        f"&database={database}",), {}

            def environment(monkeypatch):
                monkeypatch.setenv("PGHOST", host)
                monkeypatch.setenv("PGPORT", port)
                monkeypatch.setenv("PGUSER", url.username)
                monkeypatch.setenv("PGDATABASE", database)
                return (), {}

            @pytest.mark.parametrize("named", [dsn, keywords, query, environment])
            async def test_named(named, monkeypatch):
                args, kwargs = named(monkeypatch)
                connection = await asyncpg.connect(*args, **kwargs)
                assert isinstance(connection, asyncpg.Connection)
                await connection.execute("insert into person (name) values ('ada')")
                assert await people.names() == ["ada"]
                await connection.close()
        """,
    )
    result.assert_outcomes(passed=4)
    assert reasons(asyncpg_project) == []


def test_statements_that_are_given_up(asyncpg_project: Project) -> None:
    """By a timeout, a cancellation, and in the queue behind another connection's."""
    result = asyncpg_project.run(
        "--slipstream-audit",
        tests="""
            import asyncio
            import pytest
            from app import people

            async def test_timeout(connections):
                one, other = connections
                await people.add("ada")
                with pytest.raises(asyncio.TimeoutError):
                    await one.execute("select pg_sleep(20)", timeout=0.05)
                assert await one.fetchval("select 1") == 1
                assert await people.names() == ["ada"]

            async def test_cancelled_in_a_transaction(connections):
                one, other = connections
                await people.add("ada")
                async def work():
                    async with one.transaction():
                        await one.execute("insert into person (name) values ('bob')")
                        await one.execute("select pg_sleep(20)")
                task = asyncio.create_task(work())
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert not one.is_in_transaction()
                assert await people.names() == ["ada"]

            async def test_timeout_behind_another_connection(connections):
                one, other = connections
                sleeping = asyncio.create_task(one.fetchval("select 7 from pg_sleep(0.3)"))
                await asyncio.sleep(0)
                with pytest.raises(asyncio.TimeoutError):
                    await other.fetchval("select 1", timeout=0.05)
                assert await sleeping == 7
                assert await other.fetchval("select 2") == 2

            async def test_left_running(connections):
                await people.add("ada")
                task = asyncio.create_task(connections[0].execute("select pg_sleep(20)"))
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
                await asyncio.sleep(0.01)

            async def test_after_it():
                assert await people.names() == []
        """,
    )
    result.assert_outcomes(passed=5)
    assert reasons(asyncpg_project) == []


def test_two_transactions_at_once(asyncpg_project: Project) -> None:
    """Each undoes its own work; where one savepoint lies within the other, it says so."""
    result = asyncpg_project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from app import people

            ADD = "insert into person (name) values ($1)"

            async def test_the_later_one_rolls_back(connections):
                one, other = connections
                first, second = one.transaction(), other.transaction()
                await first.start()
                await one.execute(ADD, "ada")
                await second.start()
                await other.execute(ADD, "bob")
                await first.commit()
                await second.rollback()
                assert await people.names() == ["ada"]

            async def test_the_earlier_one_rolls_back(connections):
                one, other = connections
                first, second = one.transaction(), other.transaction()
                await first.start()
                await one.execute(ADD, "ada")
                await second.start()
                await other.execute(ADD, "bob")
                await second.commit()
                with pytest.raises(Exception, match="a rollback cannot contain what the test does"):
                    await first.rollback()

            async def test_copies_from_one_to_the_other(connections):
                one, other = connections
                async def rows():
                    yield str(await other.fetchval("select 1")).encode() + b"\\n"
                with pytest.raises(Exception, match="while it copies through another"):
                    await one.copy_to_table("person", columns=["name"], source=rows())
        """,
    )
    result.assert_outcomes(passed=3)
    assert len(reasons(asyncpg_project)) == 2
    assert strategies(asyncpg_project) == ["rollback", "reset", "reset"]


def test_what_a_rollback_cannot_contain_goes_on_with_real_commits(asyncpg_project: Project) -> None:
    result = asyncpg_project.run(
        "--slipstream-audit",
        tests="""
            import os
            import asyncpg
            import psycopg
            import pytest
            from app import people

            @pytest.fixture
            async def connection():
                made = await asyncpg.connect(os.environ["DATABASE_URL"])
                yield made
                await made.close()

            @pytest.mark.parametrize("n", range(2))
            async def test_a_second_driver(n):
                await people.add("ada")
                with psycopg.connect(os.environ["DATABASE_URL"]) as other:
                    assert other.execute("select name from person").fetchall() == [("ada",)]
                    other.execute("insert into person (name) values ('bob')")
                assert await people.names() == ["ada", "bob"]

            async def test_vacuum(connection):
                await people.add("ada")
                await connection.execute("vacuum person")
                assert await people.names() == ["ada"]

            async def test_an_isolation_level(connection):
                async with connection.transaction(isolation="serializable"):
                    assert await connection.fetchval("show transaction_isolation") == "serializable"
                    await connection.execute("insert into person (name) values ('ada')")
                assert await people.names() == ["ada"]

            async def test_in_a_transaction(connection):
                async with connection.transaction():
                    await connection.execute("insert into person (name) values ('ada')")
                    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
                        other.execute("select 1")
        """,
    )
    result.assert_outcomes(passed=4, failed=1)
    assert len(reasons(asyncpg_project)) == 4
    assert set(strategies(asyncpg_project)) == {"reset"}
    result.stdout.fnmatch_lines(
        [
            "*IsolationError: test_it.py::test_in_a_transaction: a rollback cannot contain what "
            "the test does on the database 'main': it uses a second connection, *",
            '*hint: mark the test with @pytest.mark.db(isolation="reset")*',
        ]
    )


def test_a_session_that_the_server_ended(asyncpg_project: Project) -> None:
    result = asyncpg_project.run(
        tests="""
            import os
            import asyncpg
            import pytest
            from app import people

            async def test_loses_it():
                await people.add("ada")
                connection = await asyncpg.connect(os.environ["DATABASE_URL"])
                with pytest.raises(asyncpg.PostgresConnectionError):
                    await connection.execute("select pg_terminate_backend(pg_backend_pid())")
                with pytest.raises(Exception, match="the server ended the test's connection"):
                    await people.names()
                await connection.close()

            async def test_after_it():
                assert await people.names() == []
                await people.add("ada")
        """,
    )
    result.assert_outcomes(passed=2)


def test_settings_belong_to_their_connection(asyncpg_project: Project) -> None:
    result = asyncpg_project.run(
        tests="""
            import os
            import asyncpg
            import pytest

            SHOW = "show application_name"

            @pytest.fixture(scope="module")
            def url():
                return os.environ["DATABASE_URL"]

            async def test_settings(url):
                one, other = [await asyncpg.connect(url) for _ in range(2)]
                await one.execute("set application_name = 'mine'")
                assert [await one.fetchval(SHOW), await other.fetchval(SHOW)] == ["mine", ""]
                async with one.transaction():
                    await one.execute("set local application_name = 'local'")
                    assert [await one.fetchval(SHOW), await other.fetchval(SHOW)] == ["local", ""]
                assert await one.fetchval(SHOW) == "mine"
                with pytest.raises(ZeroDivisionError):
                    async with one.transaction():
                        await one.execute("set application_name = 'undone'")
                        1 / 0
                assert await one.fetchval(SHOW) == "mine"
                await one.close()
                await other.close()
        """,
    )
    result.assert_outcomes(passed=1)
    assert reasons(asyncpg_project) == []


def test_deferred_constraints_are_checked_when_the_application_commits(
    asyncpg_project: Project,
) -> None:
    asyncpg_project.write(
        {
            "schema.sql": """
                create table person (id serial primary key, name text not null unique);
                create table pet (
                    owner int references person deferrable initially deferred
                );
            """
        }
    )
    result = asyncpg_project.run(
        "--slipstream-audit",
        tests="""
            import os
            import asyncpg
            import pytest
            from app import people

            async def test_commit():
                connection = await asyncpg.connect(os.environ["DATABASE_URL"])
                async with connection.transaction():
                    await connection.execute("insert into pet values (1)")
                    await connection.execute("insert into person values (1, 'ada')")
                with pytest.raises(asyncpg.ForeignKeyViolationError):
                    async with connection.transaction():
                        await connection.execute("insert into pet values (2)")
                assert await connection.fetch("select owner from pet") == [(1,)]
                await connection.close()
        """,
    )
    result.assert_outcomes(passed=1)
    assert reasons(asyncpg_project) == []


@pytest.fixture(params=["asyncmy", "aiomysql"])
def mysql_project(
    pytester: pytest.Pytester,
    request: pytest.FixtureRequest,
    cache_dir: Path,
    require_mysql: None,
) -> Project:
    """An application on an async driver of MySQL."""
    return made(pytester, request.param)


def test_mysql_what_is_given_up_and_what_is_not_contained(mysql_project: Project) -> None:
    result = mysql_project.run(
        "--slipstream-audit",
        tests="""
            import asyncio
            import contextlib
            import pytest
            from app import people

            driver = getattr(people, "asyncmy", None) or people.aiomysql

            async def test_cancelled():
                await people.add("ada")
                async with driver.connect(**people.TARGET) as connection:
                    async with connection.cursor() as cursor:
                        with pytest.raises(asyncio.TimeoutError):
                            await asyncio.wait_for(cursor.execute("select sleep(20)"), 0.05)
                with pytest.raises(Exception, match="on the test's connection was cancelled"):
                    await people.names()

            async def test_after_it():
                assert await people.names() == []

            async def test_ddl():
                await people.add("ada")
                async with driver.connect(**people.TARGET) as connection:
                    async with connection.cursor() as cursor:
                        await cursor.execute("alter table person add column age int")
                assert await people.names() == ["ada"]

            async def test_a_row_at_a_time():
                await people.add("ada")
                async with driver.connect(**people.TARGET, autocommit=True) as connection:
                    async with connection.cursor(driver.cursors.SSCursor) as cursor:
                        await cursor.execute("select name from person")
                        with pytest.raises(Exception, match="while another one reads its rows"):
                            await people.names()

            def test_a_second_event_loop():
                asyncio.run(people.add("ada"))
                assert asyncio.run(people.names()) == ["ada"]

            @contextlib.asynccontextmanager
            async def in_which_another_has_written():
                connection = await driver.connect(**people.TARGET)
                async with connection.cursor() as cursor:
                    await cursor.execute("insert into person (name) values ('ada')")
                await people.add("bob")
                with pytest.raises(Exception, match="another connection has written") as caught:
                    yield connection
                assert type(caught.value).__name__ == "IsolationError"
                with pytest.raises(Exception):  # it is closed all the same
                    await connection.ping(reconnect=False)

            async def test_close():
                async with in_which_another_has_written() as connection:
                    connection.close()

            async def test_ensure_closed():
                async with in_which_another_has_written() as connection:
                    await connection.ensure_closed()
        """,
    )
    result.assert_outcomes(passed=7)
    assert strategies(mysql_project) == ["reset", "rollback", *["reset"] * 5]
    assert len(reasons(mysql_project)) == 6
