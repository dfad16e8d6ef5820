"""Pools of the application survive that their slot is made anew, and that event loops change."""

from __future__ import annotations

from projects import Project


def _ddl(setup: str, body: str, mark: str = "") -> str:
    lines = ["import os, asyncio, pytest", "from sqlalchemy import text", setup]
    for name in ("first", "second", "third"):
        prefix = "async " if mark else ""
        lines += [mark, f"{prefix}def test_{name}():", body]
    return "\n".join(lines)


def test_sqlalchemy_async_with_asyncpg(postgresql_project: Project) -> None:
    _async_engine(postgresql_project, "asyncpg")


def test_sqlalchemy_async_with_psycopg(postgresql_project: Project) -> None:
    _async_engine(postgresql_project, "psycopg")


def test_sqlalchemy_async_with_aiosqlite(sqlite_project: Project) -> None:
    _async_engine(sqlite_project, "aiosqlite")


def _async_engine(project: Project, driver: str) -> None:
    """A module-level engine with a pool, event loops of the function, and DDL in each test."""
    text = (project.path / "pyproject.toml").read_text()
    # The seed of this project is synchronous.
    text = text.replace('seed = "app.seed:fill"', f'driver = "{driver}"')
    (project.path / "pyproject.toml").write_text(text)
    result = project.run(
        "-Werror",
        "--override-ini=asyncio_default_fixture_loop_scope=function",
        "--slipstream-audit",
        tests="""
            import os
            import pytest
            from sqlalchemy import text
            from sqlalchemy.ext.asyncio import create_async_engine

            engine = create_async_engine(os.environ["DATABASE_URL"])

            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", range(3))
            async def test_ddl(n):
                async with engine.begin() as connection:
                    await connection.execute(text("create table extra (a int)"))
                async with engine.connect() as connection:
                    await connection.execute(text("select * from extra"))

            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", range(3))
            async def test_dml(n):
                async with engine.begin() as connection:
                    await connection.execute(text("insert into role (name) values ('x')"))
                    assert await connection.scalar(text("select count(*) from role")) == 1

            @pytest.mark.asyncio(loop_scope="module")
            @pytest.mark.parametrize("n", range(3))
            async def test_one_loop(n):
                async with engine.begin() as connection:
                    await connection.execute(text("create table extra (a int)"))
        """,
    )
    result.assert_outcomes(passed=9)


def test_psycopg_pools(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        "--slipstream-audit",
        tests="""
            import os
            import psycopg2.pool
            import pytest
            from psycopg_pool import AsyncConnectionPool, ConnectionPool

            url = os.environ["DATABASE_URL"].replace("+psycopg", "")

            @pytest.fixture(scope="module")
            def pool():
                with ConnectionPool(url, min_size=1, max_size=2) as pool:
                    yield pool

            @pytest.fixture(scope="module")
            def pool2():
                pool = psycopg2.pool.SimpleConnectionPool(1, 2, url)
                yield pool
                pool.closeall()

            @pytest.mark.parametrize("n", range(3))
            def test_psycopg(pool, n):
                with pool.connection() as connection:
                    connection.execute("create table extra (a int)")

            @pytest.mark.parametrize("n", range(3))
            def test_psycopg2(pool2, n):
                connection = pool2.getconn()
                connection.cursor().execute("create table extra (a int)")
                connection.commit()
                pool2.putconn(connection)

            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", range(2))
            async def test_async(n):
                async with AsyncConnectionPool(url, min_size=1, open=False) as pool:
                    async with pool.connection() as connection:
                        await connection.execute("create table extra (a int)")
        """,
    )
    result.assert_outcomes(passed=8)


def test_asyncpg_pool_on_one_loop(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        "--slipstream-audit",
        tests="""
            import os
            import asyncpg
            import pytest
            import pytest_asyncio

            url = os.environ["DATABASE_URL"].replace("+psycopg", "")

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def pool():
                async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
                    yield pool

            @pytest.mark.asyncio(loop_scope="module")
            @pytest.mark.parametrize("n", range(3))
            async def test_ddl(pool, n):
                await pool.execute("create table extra (a int)")
        """,
    )
    result.assert_outcomes(passed=3)
