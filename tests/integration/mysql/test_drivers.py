"""Whole runs over the drivers of MySQL and MariaDB, sync and async, with their pools."""

from __future__ import annotations

from pathlib import Path

import pytest

from projects import Project

CONFIGURATION = """
    [tool.slipstream]
    audit = true

    [tool.slipstream.databases.main]
    engine = "mysql"
    driver = "{driver}"
    schema = "app.models:Base.metadata"
    seed = "INSERT.sql"
    tcp = {tcp}
    env = {{ DATABASE_URL = "{{url}}", SOCKET = "{{socket}}", DATABASE = "{{database}}" }}
"""
SEED = {"INSERT.sql": "INSERT INTO role (name) VALUES ('admin'), ('member');"}


@pytest.fixture
def make(pytester: pytest.Pytester, shared_cache_dir: Path, require_mysql: None) -> Project:
    project = Project(pytester, CONFIGURATION.format(driver="pymysql", tcp="false"))
    project.write(SEED)
    return project


@pytest.mark.parametrize(("driver", "tcp"), [("pymysql", "true"), ("mysqldb", "false")])
def test_sync(make: Project, driver: str, tcp: str) -> None:
    if driver == "mysqldb":
        pytest.importorskip("MySQLdb")
    make.configure(CONFIGURATION.format(driver=driver, tcp=tcp))
    result = make.run(
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db

            @pytest.mark.parametrize("n", range(3))
            def test_commits(n, db_session):
                assert db.add("ann") == 1
                assert db.roles() == ["admin", "member"]
                assert db_session.scalar(text("select count(*) from user")) == 1

            @pytest.mark.parametrize("n", range(2))
            def test_ddl_and_then_a_pooled_connection(n):
                with db.engine.begin() as connection:
                    connection.execute(text("create table extra (a int)"))
                assert db.add("ann") == 1
        """
    )
    result.assert_outcomes(passed=5)


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_async(make: Project, driver: str) -> None:
    make.configure(CONFIGURATION.format(driver=driver, tcp="false"))
    make.write(
        {
            "app/db.py": """
                import os

                from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

                from app.models import User

                engine = create_async_engine(os.environ["DATABASE_URL"])
                sessions = async_sessionmaker(engine, expire_on_commit=False)


                async def add(name):
                    async with sessions() as session:
                        user = User(name=name, role_id=1)
                        session.add(user)
                        await session.commit()
                        return user.id
            """
        }
    )
    result = make.run(
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db

            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", range(3))
            async def test_commits_each_on_a_loop_of_its_own(n, async_db_session):
                assert await db.add("ann") == 1
                assert await async_db_session.scalar(text("select count(*) from user")) == 1

            held = []

            @pytest.mark.asyncio
            async def test_leaves_a_transaction():
                connection = await db.engine.connect()
                await connection.execute(text("update role set name = 'left' where id = 1"))
                held.append(connection)

            @pytest.mark.asyncio
            async def test_goes_on():
                assert await db.add("ann") == 1
        """
    )
    result.assert_outcomes(passed=5)


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_a_drivers_own_pool_after_ddl(make: Project, driver: str) -> None:
    make.write({"app/driver.py": f"from {driver} import create_pool"})
    result = make.run(
        tests="""
            import os
            import pytest
            import pytest_asyncio
            from app.driver import create_pool

            pytestmark = pytest.mark.asyncio(loop_scope="module")

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def pool():
                where = {"unix_socket": os.environ["SOCKET"], "user": "slipstream"}
                pool = await create_pool(db=os.environ["DATABASE"], minsize=2, **where)
                yield pool
                pool.close()
                await pool.wait_closed()

            @pytest.mark.parametrize("n", range(3))
            async def test_ddl(pool, n):
                async with pool.acquire() as connection:
                    async with connection.cursor() as cursor:
                        await cursor.execute("create table extra (a int)")
                        await cursor.execute("select count(*) from role")
                        assert (await cursor.fetchone())[0] == 2
        """
    )
    result.assert_outcomes(passed=3)
