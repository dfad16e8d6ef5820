"""What connections of plain drivers and of Peewee do is told, and SQLAlchemy's is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from projects import Project

CONFIGURATION = """
    [tool.slipstream.databases.main]
    engine = "{engine}"
    isolation = "{isolation}"
    schema = "app.models:Base.metadata"
    env = {{ DATABASE_URL = "{{url}}", DATABASE = "{{database}}", SOCKET = "{where}" }}
"""
WHERE = {"sqlite": "{database}", "postgresql": "{socket_dir}", "mysql": "{socket}"}

STATEMENTS = """
    import asyncio
    import os

    import peewee
    import pytest
    from sqlalchemy import create_engine, text
    from sqlalchemy.ext.asyncio import create_async_engine

    URL, NAME, PLACE = (os.environ[name] for name in ("DATABASE_URL", "DATABASE", "SOCKET"))
    DDL = "create table extra (a integer)"
    INSERT, SELECT = "insert into role (name) values ('ann')", "select name from role"

    def use(connection):
        cursor = connection.cursor()
        cursor.execute(DDL)
        cursor.execute(INSERT)
        cursor.execute(SELECT)
        assert [name for name, in cursor.fetchall()] == ["ann"]
        connection.commit()
        connection.close()

    def use_peewee(database):
        database.connect()
        database.execute_sql(DDL)
        with database.atomic():
            database.execute_sql(INSERT)
        assert list(database.execute_sql(SELECT)) == [("ann",)]
        database.close()

    @pytest.mark.parametrize("creator", [None, "mine"])
    def test_sqlalchemy(creator):
        options = {"creator": connect} if creator else {}
        engine = create_engine(URL, **options)
        with engine.begin() as connection:
            for statement in (DDL, INSERT, SELECT):
                connection.execute(text(statement))
        engine.dispose()

    async def run_sqlalchemy(driver):
        engine = create_async_engine("{}+{}:{}".format(URL.split("+")[0].split(":")[0], driver,
                                                       URL.partition(":")[2]))
        async with engine.begin() as connection:
            for statement in (DDL, INSERT, SELECT):
                await connection.execute(text(statement))
        await engine.dispose()
"""

TESTS = {
    "sqlite": """
    import aiosqlite
    import sqlite3

    class Mine(sqlite3.Connection):
        def cursor(self):
            return super().cursor(sqlite3.Cursor)

    def connect():
        return sqlite3.connect(NAME)

    @pytest.mark.parametrize("factory", [sqlite3.Connection, Mine])
    def test_sqlite3(factory):
        connection = sqlite3.connect(NAME, factory=factory)
        assert isinstance(connection, factory)
        use(connection)

    def test_shortcuts_of_a_connection():
        with sqlite3.connect(NAME) as connection:
            connection.execute(DDL)
            connection.executemany(INSERT, [()])
            assert connection.execute(SELECT).fetchall() == [("ann",)]
        connection.close()

    def test_aiosqlite():
        async def run():
            async with aiosqlite.connect(NAME) as connection:
                await connection.execute(DDL)
                cursor = await connection.execute(INSERT)
                await cursor.execute(SELECT)
                assert await cursor.fetchall() == [("ann",)]
                await connection.commit()
        asyncio.run(run())

    def test_peewee():
        use_peewee(peewee.SqliteDatabase(NAME))

    def test_sqlalchemy_asynchronous():
        asyncio.run(run_sqlalchemy("aiosqlite"))

    def test_elsewhere(tmp_path):
        for _ in range(2):
            use(sqlite3.connect(":memory:", factory=Other))
            use(sqlite3.connect(tmp_path / "other.db", factory=Other))

    class Other(sqlite3.Connection):
        def cursor(self):
            return super().execute("create table if not exists role (name text)")

        def close(self):
            self.execute("drop table extra")
            self.execute("drop table role")
            self.commit()
            super().close()
""",
    "postgresql": """
    import asyncpg
    import psycopg
    import psycopg2
    import psycopg2.extras
    from psycopg2 import sql

    USER = URL.partition("//")[2].partition("@")[0]
    PLAIN = {"host": PLACE, "dbname": NAME, "user": USER}

    def connect():
        return psycopg.connect(**PLAIN)

    def test_psycopg():
        use(psycopg.connect(**PLAIN))

    def test_psycopg_asynchronous():
        async def run():
            async with await psycopg.AsyncConnection.connect(**PLAIN) as connection:
                await connection.execute(DDL)
                await connection.execute(INSERT)
                cursor = await connection.execute(SELECT)
                assert await cursor.fetchall() == [("ann",)]
        asyncio.run(run())

    @pytest.mark.parametrize("factory", [None, psycopg2.extras.LoggingConnection])
    def test_psycopg2(factory):
        connection = psycopg2.connect(**PLAIN, connection_factory=factory)
        if factory is not None:
            connection.initialize(open(os.devnull, "w"))
        cursor = connection.cursor()
        cursor.execute(sql.SQL("create table {} (a integer)").format(sql.Identifier("extra")))
        cursor.execute(INSERT.encode())
        cursor.execute(SELECT)
        assert cursor.fetchall() == [("ann",)]
        connection.commit()
        if factory is None:
            cursor = connection.cursor(None, psycopg2.extras.DictCursor)
            assert isinstance(cursor, psycopg2.extras.DictCursor)
        connection.close()

    async def use_asyncpg(connection):
        async with connection.transaction():
            await connection.execute(DDL)
            await connection.execute(INSERT)
            assert await connection.fetchval(SELECT) == "ann"

    def test_asyncpg():
        async def run():
            connection = await asyncpg.connect(host=PLACE, database=NAME, user=USER)
            await use_asyncpg(connection)
            await connection.close()
        asyncio.run(run())

    def test_pool_of_asyncpg():
        async def run():
            async with asyncpg.create_pool(
                host=PLACE, database=NAME, user=USER, min_size=1
            ) as pool, pool.acquire() as connection:
                await use_asyncpg(connection)
        asyncio.run(run())

    def test_peewee():
        use_peewee(peewee.PostgresqlDatabase(NAME, host=PLACE, user=USER))

    @pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
    def test_sqlalchemy_asynchronous(driver):
        asyncio.run(run_sqlalchemy(driver))

    def test_a_lock():
        with psycopg.connect(**PLAIN, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(1)")
            connection.execute("select pg_advisory_unlock(1)")
""",
    "mysql": """
    import aiomysql
    import asyncmy
    import pymysql

    USER = URL.partition("//")[2].partition("@")[0]
    PLAIN = {"unix_socket": PLACE, "database": NAME, "user": USER}

    def connect():
        return pymysql.connect(**PLAIN)

    def test_pymysql():
        use(pymysql.connect(**PLAIN))

    @pytest.mark.parametrize("driver", [aiomysql, asyncmy])
    def test_asynchronous(driver):
        async def run():
            connection = await driver.connect(db=NAME, user=USER, unix_socket=PLACE)
            async with connection.cursor() as cursor:
                await cursor.execute(DDL)
                await cursor.execute(INSERT)
                await cursor.execute(SELECT)
                assert [name for name, in await cursor.fetchall()] == ["ann"]
            await connection.commit()
            connection.close()
        asyncio.run(run())

    def test_peewee():
        use_peewee(peewee.MySQLDatabase(NAME, user=USER, unix_socket=PLACE))

    @pytest.mark.parametrize("driver", ["aiomysql", "asyncmy"])
    def test_sqlalchemy_asynchronous(driver):
        asyncio.run(run_sqlalchemy(driver))
""",
}


@pytest.fixture(params=["reset", "rollback"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Under `rollback`, connections are of classes that join the test's."""
    name: str = request.param
    return name


@pytest.mark.parametrize("engine", sorted(TESTS))
def test_each_driver_is_told(
    pytester: pytest.Pytester,
    engine: str,
    isolation: str,
    shared_cache_dir: Path,
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue("require_mysql" if engine == "mysql" else "require_servers")
    where = WHERE[engine]
    project = Project(
        pytester, CONFIGURATION.format(engine=engine, isolation=isolation, where=where)
    )
    done = project.run(tests=STATEMENTS + TESTS[engine])
    tests = {event["node_id"].partition("::")[2]: event for event in project.events("TestTimed")}
    done.assert_outcomes(passed=len(tests))
    assert "queries" not in tests.pop("test_elsewhere", {"counts": {}})["counts"]
    locking = tests.pop("test_a_lock", {"counts": {"database locks": 1, "queries": 1}})["counts"]
    assert (locking["database locks"], locking["queries"]) == (1, 1)
    for name, test in tests.items():
        counts, spent = test["counts"], test["spent"]
        assert counts.get("DDL statements") == 1, (name, counts)
        # A pool resets the connection; SQLAlchemy asks one that it did not open for its settings.
        more = name.startswith("test_pool") + 9 * name.endswith("[mine]")
        assert 2 <= counts.get("queries") <= 2 + more, (name, counts)
        assert counts.get("connections") == 1, (name, counts)
        assert counts.get("commits", 0) + counts.get("transaction control", 0) >= 1, (name, counts)
        assert min(spent.values()) > 0
        parts = [*test["own"], *spent.values(), *map(sum, test["fixtures"].values())]
        assert sum(parts) <= test["seconds"] + 0.001
    if engine == "sqlite":
        done.stdout.fnmatch_lines(
            ["connected to another database than a slot: 1", "  *other.db, first in *elsewhere"]
        )
    else:
        done.stdout.no_fnmatch_line("connected to another database*")
