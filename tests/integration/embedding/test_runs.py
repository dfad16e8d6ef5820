"""Whole runs of suites that are configured for a server of their own, which is never reached."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from projects import DATABASES, WITHOUT_UNUSED_PLUGINS, Project
from pytest_slipstream.databases.servers import embedded
from waiting import until

POSTGRESQL = """
    import asyncio
    import os
    import subprocess
    import sys
    import uuid

    import asyncpg
    import psycopg
    import psycopg2
    import pytest
    from sqlalchemy import create_engine, text

    URL = os.environ["DATABASE_URL"]
    WHO = "SELECT current_user, current_database()"


    def test_psycopg():
        with psycopg.connect(URL) as connection:
            assert connection.execute(WHO).fetchone() == ("app", "app_test")


    def test_several_hosts():
        place = {"host": "localhost,analytics.test", "port": f"{os.environ['PORT']},5432"}
        psycopg.connect(URL, **place).close()


    def test_psycopg_async():
        async def main():
            async with await psycopg.AsyncConnection.connect(URL) as connection:
                found = await connection.execute(WHO)
                assert await found.fetchone() == ("app", "app_test")

        asyncio.run(main())


    def test_psycopg2():
        connection = psycopg2.connect(URL)
        cursor = connection.cursor()
        cursor.execute(WHO)
        assert cursor.fetchone() == ("app", "app_test")
        connection.close()


    def test_pg8000():
        engine = create_engine(URL.replace("postgresql", "postgresql+pg8000"))
        with engine.connect() as connection:
            assert tuple(connection.execute(text(WHO)).one()) == ("app", "app_test")
        engine.dispose()


    def test_asyncpg_and_its_pools():
        async def main():
            connection = await asyncpg.connect(URL)
            assert tuple(await connection.fetchrow(WHO)) == ("app", "app_test")
            await connection.close()
            async with asyncpg.create_pool(URL, min_size=2, max_size=2) as pool:
                assert await pool.fetchval("SELECT 1") == 1

        asyncio.run(main())


    @pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
    def test_sqlalchemy(driver):
        engine = create_engine(URL.replace("postgresql", f"postgresql+{driver}"))
        with engine.connect() as connection:
            assert tuple(connection.execute(text(WHO)).one()) == ("app", "app_test")
        engine.dispose()


    def test_what_is_dropped_is_gone():
        name = f"own_{uuid.uuid4().hex}"
        own = URL.replace("app_test", name)
        with psycopg.connect(URL, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            with psycopg.connect(own) as other:
                assert other.execute(WHO).fetchone() == ("app", name)
            connection.execute(f"DROP DATABASE {name}")
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError, match="does not exist"):
                psycopg.connect(own)


    def test_a_wrong_password_is_wrong():
        psycopg.connect(URL).close()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(URL, password="wrong")


    def test_another_server_is_not_there():
        psycopg.connect(URL).close()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect("postgresql://app@localhost:1/app_test")


    def test_a_child_process_with_its_url():
        assert os.environ["PORT"] in URL
        program = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'])"
        program += f"; print(c.execute({WHO!r}).fetchone())"
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert said.stdout.strip() == "('app', 'app_test')", said.stderr
"""
MEMOISED = """
    import asyncio

    import aiomysql
    import asyncmy
    import pymysql
    import pytest
    from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select

    LOGIN = {"host": "db.test", "user": "app", "password": "secret"}
    METADATA = MetaData()
    PERSON = Table(
        "person", METADATA, Column("id", Integer, primary_key=True), Column("name", String(20))
    )
    URLS = {
        "mysql": "mysql+pymysql://app:secret@db.test/app_test",
        "postgresql": "postgresql+psycopg://app:secret@db.test/app_test",
    }


    def test_pymysql():
        connection = pymysql.connect(database="app_test", **LOGIN)
        cursor = connection.cursor()
        cursor.execute("SELECT current_user(), database()")
        assert cursor.fetchone() == ("app@%", "app_test")
        connection.close()


    def test_asynchronous_drivers():
        async def main():
            for driver in (aiomysql, asyncmy):
                connection = await driver.connect(db="app_test", **LOGIN)
                async with connection.cursor() as cursor:
                    await cursor.execute("SELECT database()")
                    assert await cursor.fetchone() == ("app_test",)
                await connection.ensure_closed()
            async with aiomysql.create_pool(db="app_test", **LOGIN) as pool:
                async with pool.acquire() as connection:
                    await connection.ping()

        asyncio.run(main())


    def test_root_with_a_password():
        for password in ("root's", "wrong"):
            login = LOGIN | {"user": "root", "password": password}
            if password == "wrong":
                with pytest.raises(pymysql.err.OperationalError, match="1045"):
                    pymysql.connect(**login)
            else:
                pymysql.connect(database="app_test", **login).close()


    def test_a_wrong_password_makes_nothing():
        with pytest.raises(pymysql.err.OperationalError, match="1045"):
            pymysql.connect(database="app_other", **LOGIN | {"password": "wrong"})
        connection = pymysql.connect(database="app_test", **LOGIN)
        cursor = connection.cursor()
        cursor.execute("SHOW DATABASES LIKE 'app%'")
        assert cursor.fetchall() == (("app_test",),)
        connection.close()


    @pytest.mark.parametrize("engine", sorted(URLS))
    @pytest.mark.parametrize("number", range(8))
    def test_schema_work(engine, number):
        engine = create_engine(URLS[engine])
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(PERSON).values(name="ada"))
            assert connection.execute(select(PERSON)).all() == [(1, "ada")]
        METADATA.drop_all(engine)
        engine.dispose()
"""
WAITING = """
    import pathlib
    import time

    import psycopg


    def test_waits():
        psycopg.connect("postgresql://app@db.test/app").close()
        pathlib.Path("reached").touch()
        while True:
            time.sleep(0.02)
"""


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """The server that the suite names: who connects to it is found out."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("DATABASE_URL", f"postgresql://app:secret@localhost:{port}/app_test")
        monkeypatch.setenv("PORT", str(port))
        monkeypatch.setenv("ANALYTICS_URL", "postgresql://analytics.test/facts")
        yield
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.fixture
def project(pytester: pytest.Pytester, require_postgresql: None, require_mariadb: None) -> Project:
    return Project(pytester, "")


def servers_of(project: Project, cache_dir: Path) -> list[Path]:
    """What is left of the servers of the project's newest run."""
    uid = next(event["testrun_uid"] for event in project.events("RunStarted"))
    return list((cache_dir / "servers").glob(f"*{uid[:12]}*"))


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--workers", "2")], ids=str)
def test_the_switch_alone_is_enough(
    project: Project, original: None, shared_cache_dir: Path, options: tuple[str, ...]
) -> None:
    result = project.run("--slipstream-embed", "postgresql", *options, tests=POSTGRESQL)

    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(
        [
            "slipstream: PostgreSQL: connections to the server that is connected to first go to *",
            "localhost:*: * connections went to an embedded PostgreSQL * instead, and there were "
            "made: database app_test, role app",
            "not moved to an embedded server: 1",
            "  localhost:1, 1 connections",
        ]
    )
    assert servers_of(project, shared_cache_dir) == []


def test_memoised_and_audited_on_both_products(project: Project, shared_cache_dir: Path) -> None:
    switches = ("--slipstream-embed", "mysql", "--slipstream-embed", "postgresql")
    result = project.run(*switches, "--slipstream-memoize", "--slipstream-audit", tests=MEMOISED)

    result.assert_outcomes(passed=20)
    result.stdout.fnmatch_lines(
        [
            "db.test:3306: * connections went to an embedded MariaDB * instead, and there were "
            "made: database app_test, user app, user root",
            "db.test:5432: * connections went to an embedded PostgreSQL * instead*",
            "create_all on MySQL or MariaDB: replaced *",
            "create_all on PostgreSQL: replaced *",
        ]
    )
    assert servers_of(project, shared_cache_dir) == []


def test_mysqlclient(project: Project) -> None:
    pytest.importorskip("MySQLdb")
    result = project.run(
        "--slipstream-embed",
        "mysql",
        tests="""
            import MySQLdb
            import pytest
            from sqlalchemy import create_engine, text

            WHO = "SELECT current_user(), database()"


            def test_the_driver():
                connection = MySQLdb.connect("db.test", "app", "secret", "app_test", 3306)
                cursor = connection.cursor()
                cursor.execute(WHO)
                assert cursor.fetchone() == ("app@%", "app_test")
                connection.close()
                with pytest.raises(MySQLdb.OperationalError, match="1045"):
                    MySQLdb.connect(host="db.test", user="app", passwd="wrong", db="app_test")


            def test_sqlalchemy():
                engine = create_engine("mysql+mysqldb://app:secret@db.test/app_test")
                with engine.connect() as connection:
                    assert tuple(connection.execute(text(WHO)).one()) == ("app@%", "app_test")
                engine.dispose()
        """,
    )

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["db.test:3306: * connections went to an embedded MariaDB * instead*: *app_test, user app"]
    )


def test_beside_a_configured_database_and_only_the_server_that_is_named(
    project: Project, original: None
) -> None:
    project.configure(
        DATABASES["postgresql"].replace(
            "[tool", '[tool.slipstream]\nembed = "postgresql://db.test:5433"\n\n[tool', 1
        )
    )
    result = project.run(
        tests="""
            import psycopg
            import pytest

            from app import db


            @pytest.mark.parametrize("name", ["ada", "bob"])
            def test_the_slot(name):
                db.add(name)
                assert db.names() == [name]


            def test_the_suites_own():
                with psycopg.connect("postgresql://db.test:5433/own?user=app") as connection:
                    found = connection.execute("SELECT current_user, current_database()")
                    assert found.fetchone() == ("app", "own")


            def test_another():
                with pytest.raises(psycopg.OperationalError):
                    psycopg.connect("postgresql://app@localhost:1/own")
        """
    )

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["db.test:5433: 1 connections *: database own, role app"])


def test_what_a_killed_run_leaves_is_removed(project: Project, shared_cache_dir: Path) -> None:
    project.write({"test_it.py": WAITING})
    options = ("-p", "no:cacheprovider", *WITHOUT_UNUSED_PLUGINS)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, "--slipstream-embed", "postgresql"],
        cwd=project.path,
        start_new_session=True,
    )
    until((project.path / "reached").exists, "the test has connected")
    (directory,) = (one for one in servers_of(project, shared_cache_dir) if one.is_dir())
    (server,) = (
        entry for entry in embedded.list_servers(shared_cache_dir) if entry.directory == directory
    )
    assert server.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    embedded.prune(shared_cache_dir)

    assert servers_of(project, shared_cache_dir) == []
    with suppress(psutil.NoSuchProcess):  # in a container it may wait to be reaped
        assert psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE
    assert not server.data.exists()
