"""The application's SQLAlchemy engines, of each make, on each lane."""

from __future__ import annotations

import pytest

from projects import Project

ENGINES = {
    "app/engines.py": """
        import os
        from functools import lru_cache

        from sqlalchemy import create_engine
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from sqlalchemy.orm import scoped_session, sessionmaker
        from sqlalchemy.pool import NullPool

        URL = os.environ["DATABASE_URL"]  # read once, at import

        plain = create_engine(URL)
        autocommit = plain.execution_options(isolation_level="AUTOCOMMIT")
        session = scoped_session(sessionmaker(plain))
        asynchronous = create_async_engine(
            URL.replace("sqlite:", "sqlite+aiosqlite:"), poolclass=NullPool
        )
        async_session = async_sessionmaker(asynchronous)
        pooled = create_async_engine(URL.replace("sqlite:", "sqlite+aiosqlite:"))


        @lru_cache
        def late():
            return create_engine(URL)
    """,
}


@pytest.mark.parametrize("engine", ["mysql", "postgresql"])
def test_every_make_of_engine_reaches_the_lane(request: pytest.FixtureRequest, engine: str) -> None:
    name = "project" if engine == "mysql" else "postgresql_project"
    project: Project = request.getfixturevalue(name)
    project.write(ENGINES)
    result = project.run(
        "-Werror",
        "--override-ini=asyncio_default_fixture_loop_scope=function",
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import text
            from sqlalchemy.pool import NullPool
            from app import engines

            COUNT = text("select count(*) from role")
            ADD = text("insert into role (name) values ('x')")
            lanes = pytest.mark.parametrize(
                "lane", ["sqlite", pytest.param("ENGINE", marks=pytest.mark.e2e)]
            )

            @lanes
            @pytest.mark.parametrize("n", range(2))
            def test_session_of_the_module_left_in_a_transaction(lane, n):
                assert engines.session.scalar(COUNT) == 2
                engines.session.execute(ADD)
                assert engines.session.connection().dialect.name == lane

            @lanes
            def test_options(lane):
                with engines.autocommit.connect() as connection:
                    assert connection.dialect.name == lane
                    connection.execute(ADD)
                with engines.plain.connect() as connection:
                    assert connection.scalar(COUNT) == 3

            @lanes
            @pytest.mark.asyncio
            async def test_async(lane):
                assert isinstance(engines.asynchronous.pool, NullPool)
                async with engines.async_session() as session:
                    await session.execute(ADD)
                    await session.commit()
                    assert await session.scalar(COUNT) == 3
                    assert (await session.connection()).dialect.name == lane

            @lanes
            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", range(2))
            async def test_async_with_a_pool_and_loops_of_the_function(lane, n):
                async with engines.pooled.begin() as connection:
                    assert connection.dialect.name == lane
                    await connection.execute(ADD)

            @pytest.mark.e2e
            def test_made_late_from_a_url_read_at_import():
                assert engines.URL.startswith("sqlite:")
                with engines.late().connect() as connection:
                    assert connection.dialect.name == "ENGINE"
                    assert connection.scalar(COUNT) == 2
        """.replace("ENGINE", engine),
    )
    result.assert_outcomes(passed=13)


def test_an_async_session_that_was_dropped_in_a_transaction_is_left_to_its_pool(
    postgresql_project: Project,
) -> None:
    postgresql_project.write(ENGINES)
    result = postgresql_project.run(
        "--override-ini=asyncio_default_fixture_loop_scope=function",
        tests="""
            import gc
            import pytest
            from sqlalchemy import text
            from app import engines

            COUNT = text("select count(*) from role")

            @pytest.mark.asyncio
            async def test_drops_its_session():
                gc.disable()  # the session's inner half is in a cycle, and stays until it runs
                session = engines.async_session()
                assert await session.scalar(COUNT) == 2

            @pytest.mark.e2e
            @pytest.mark.asyncio
            async def test_on_the_next_lane():
                gc.enable()
                async with engines.async_session() as session:
                    assert await session.scalar(COUNT) == 2
        """,
    )
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*garbage collector is trying to clean up*"])


def test_back_on_its_lane_an_engine_is_as_it_was(postgresql_project: Project) -> None:
    """Also where the order is not ours, as in a worker of pytest-xdist."""
    postgresql_project.write(
        {
            "conftest.py": """
                def pytest_collection_finish(session):
                    fast, other_fast, real, other_real = session.items
                    session.items[:] = [fast, real, other_fast, other_real]
            """
        }
    )
    result = postgresql_project.run(
        "--slipstream-audit",
        tests="""
            import gc
            import pytest
            from pytest_slipstream.databases.lanes.live_objects import live
            from sqlalchemy import text
            from sqlalchemy.engine import Engine
            from app.db import engine

            PARTS = engine.url, engine.dialect, engine.pool
            connection = None

            @pytest.mark.parametrize("n", range(2))
            def test_fast(n):
                global connection
                assert (engine.url, engine.dialect, engine.pool) == PARTS
                with engine.connect() as found:
                    assert found.scalar(text("select count(*) from role")) == 2
                    connection = connection or found.connection.dbapi_connection
                    assert found.connection.dbapi_connection is connection

            @pytest.mark.e2e
            @pytest.mark.parametrize("n", range(2))
            def test_real(n):
                assert engine.dialect.name == "postgresql"
                gc.collect()
                assert len(live(Engine)) == 2  # the application's, and that of the other pool
                with engine.begin() as found:
                    assert found.scalar(text("select count(*) from role")) == 2
                    found.execute(text("insert into role (name) values ('x')"))
        """,
    )
    result.assert_outcomes(passed=4)


def test_the_variable_that_an_engine_was_made_from_leads_to_its_counterpart(
    postgresql_project: Project,
) -> None:
    """So what a lane's own value adds to the URL is kept."""
    text = (postgresql_project.path / "pyproject.toml").read_text()
    value = "postgresql+psycopg://{user}@/{database}?host={socket_dir}&port={port}"
    text += (
        "[tool.slipstream.lanes.real.databases.main.env]\n"
        f'DATABASE_URL = "{value}&application_name=shop"\n'
    )
    (postgresql_project.path / "pyproject.toml").write_text(text)
    result = postgresql_project.run(
        tests="""
            import pytest
            from app.db import engine
            from sqlalchemy import text

            @pytest.mark.e2e
            def test_real():
                with engine.connect() as connection:
                    assert connection.scalar(text("show application_name")) == "shop"
        """
    )
    result.assert_outcomes(passed=1)


def test_an_engine_without_a_driver_on_the_lane_is_an_error_that_names_it(
    postgresql_project: Project,
) -> None:
    text = (postgresql_project.path / "pyproject.toml").read_text()
    text = text.replace('marker = "e2e"', 'databases.main.driver = "pg9000"\nmarker = "e2e"')
    (postgresql_project.path / "pyproject.toml").write_text(text.replace("seed", "# seed"))
    result = postgresql_project.run(
        tests="import pytest\nfrom app import db\n@pytest.mark.e2e\ndef test(): 1"
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*the application's engine for sqlite:///* cannot reach the lane 'real'*pg9000*",
            "*hint: install one, or name another with `driver`*",
        ]
    )
