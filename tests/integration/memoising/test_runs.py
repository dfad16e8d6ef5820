"""Whole runs of suites that create and drop for each test, with the switch and nothing else."""

from __future__ import annotations

import pytest

from memoised import NewDatabase
from migrating import Chain
from projects import Project
from pytest_slipstream.databases.engines.mysql import content
from pytest_slipstream.databases.urls import url

SUITE = """
    import pytest
    from sqlalchemy import create_engine, event, select
    from sqlalchemy.orm import Session
    from sqlalchemy.pool import StaticPool

    from app.models import Base, Role


    @pytest.fixture
    def engine():
        engine = create_engine("sqlite://", poolclass=StaticPool)
        Base.metadata.create_all(engine)
        yield engine
        Base.metadata.drop_all(engine)


    @pytest.mark.parametrize("number", range(8))
    def test_adds(engine, number):
        with Session(engine) as session:
            session.add(Role(name="admin"))
            session.commit()
            assert session.scalar(select(Role.id)) == 1
"""

LISTENING = """
    @event.listens_for(Base.metadata, "before_create")
    def listens(target, connection, **options):
        pass
"""
OF_THE_SLOT = """
    @pytest.mark.parametrize("name", ["ada", "bob"])
    def test_the_slot_is_clean(name):
        from app.db import add, names

        add(name)
        assert names() == [name]
"""
# What is restored has lost a table: only a defect of slipstream's could do that.
DAMAGE = """
    from pytest_slipstream.databases.memoising import sqlite

    record = sqlite.record


    def damaged(connection, operation, before, results):
        record(connection, operation, before, results)
        for result in results.values():
            if result.image is not None:
                result.image.execute("DROP TABLE IF EXISTS user")


    sqlite.record = damaged
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester, "")


def test_the_switch_alone_is_enough(project: Project) -> None:
    result = project.run("--slipstream-memoize", tests=SUITE)

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        ["create_all on SQLite: replaced * times*", "drop_all on SQLite: replaced * times*"]
    )
    result.stdout.no_fnmatch_line("*ran as written*")


def test_the_file_can_say_it_too_and_the_summary_can_be_left_out(project: Project) -> None:
    project.configure("[tool.slipstream]\nmemoize = true\nsummary = false\n")

    result = project.run(tests=SUITE)

    result.assert_outcomes(passed=8)
    result.stdout.no_fnmatch_line("*replaced*")
    assert project.events("OperationMemoised")


def test_without_it_nothing_is_touched(project: Project) -> None:
    result = project.run(
        "--no-slipstream-notice",
        tests="""
            from sqlalchemy import MetaData


            def test_sqlalchemys_own():
                assert "slipstream" not in MetaData.create_all.__globals__["__name__"]
                assert not hasattr(MetaData.create_all, "__wrapped__")
        """,
    )

    result.assert_outcomes(passed=1)
    assert not (project.path / ".slipstream").exists()


def test_what_ran_as_written_is_named(project: Project) -> None:
    result = project.run("--slipstream-memoize", tests=SUITE + LISTENING)

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        [
            "operations on the schema that ran as written: 2",
            "  create_all on SQLite, 7 times: an event listener, listens",
        ]
    )


def test_the_audit_compares_all_that_was_restored(project: Project) -> None:
    result = project.run("--slipstream-memoize", "--slipstream-audit", tests=SUITE)

    result.assert_outcomes(passed=8)
    for event in project.events("OperationMemoised"):
        assert event["checked"] == event["times"] > 0


def test_workers_count_together(project: Project) -> None:
    result = project.run("--slipstream-memoize", "-n", "2", tests=SUITE)

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["create_all on SQLite: replaced * times*"])


ON_MARIADB = """
    import pytest
    from sqlalchemy import create_engine, select
    from sqlalchemy.orm import Session

    from app.models import Base, Role

    engine = create_engine("{url}")


    @pytest.fixture(autouse=True)
    def tables():
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)


    @pytest.mark.parametrize("number", range(8))
    def test_adds(number):
        with Session(engine) as session:
            session.add(Role(name="admin"))
            session.commit()
            assert session.scalar(select(Role.id)) == 1
"""


def test_tables_of_mariadb_are_dropped_when_the_run_is_over(
    project: Project, new_mysql_database: NewDatabase
) -> None:
    address = new_mysql_database()
    suite = ON_MARIADB.replace("{url}", url(address))

    plain = project.run(tests=suite)
    made = content.digest(address)
    result = project.run("--slipstream-memoize", tests=suite)

    plain.assert_outcomes(passed=8)
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        [
            "create_all on MySQL or MariaDB: replaced * times*",
            "drop_all on MySQL or MariaDB: replaced * times*",
        ]
    )
    result.stdout.no_fnmatch_line("*ran as written*")
    assert content.digest(address) == made
    assert "rows of role" in made


def test_beside_a_configured_database(project: Project) -> None:
    project.configure(
        """
        [tool.slipstream]
        memoize = true

        [tool.slipstream.databases.main]
        engine = "sqlite"
        schema = "app.models:Base.metadata"
        seed = "app.seed:fill"
        env = { DATABASE_URL = "{url}" }
        """
    )
    result = project.run(tests=SUITE + OF_THE_SLOT)

    result.assert_outcomes(passed=10)
    result.stdout.fnmatch_lines(["main: sqlite*", "create_all on SQLite: replaced * times*"])


def test_a_difference_fails_the_audit(project: Project) -> None:
    project.write({"conftest.py": DAMAGE})

    result = project.run("--slipstream-memoize", "--slipstream-audit", tests=SUITE)

    result.assert_outcomes(passed=7, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*IsolationError: what was restored for create_all on SQLite differs from what it "
            "makes: *table user is missing*",
            "*hint: run without `--slipstream-memoize`, and report this as a defect of slipstream",
            "restored otherwise than the slow way makes it*",
        ]
    )


def test_a_difference_that_a_sample_finds_is_put_right(project: Project) -> None:
    sampled = """
        from pytest_slipstream.databases.memoising import memoising

        memoising.CHECKS_EVERY = 1
    """
    project.write({"conftest.py": DAMAGE, "sampled.py": sampled})

    result = project.run("-p", "sampled", "--slipstream-memoize", tests=SUITE)

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        [
            "operations on the schema that ran as written: *",
            "*: a difference that was found earlier in the run",
            "restored otherwise than the slow way makes it*",
            "  create_all on SQLite: *table user is missing*",
        ]
    )


MIGRATING = """
    import pytest
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.pool import StaticPool


    @pytest.mark.parametrize("number", range(5))
    def test_migrates(number):
        config = Config()
        config.set_main_option("script_location", "migrations")
        engine = create_engine("sqlite://", poolclass=StaticPool)
        with engine.begin() as config.attributes["connection"]:
            command.upgrade(config, "head")
            command.downgrade(config, "r1")
        assert inspect(engine).get_table_names() == ["alembic_version", "person"]
        engine.dispose()
"""


def test_migrations_are_named(project: Project) -> None:
    chain = Chain(project.path)
    chain.add_table("person")
    chain.add("pass")

    result = project.run("--slipstream-memoize", "--slipstream-audit", tests=MIGRATING)

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        [
            "alembic downgrade on SQLite: replaced 3 times*; 3 compared with the slow way",
            "alembic upgrade on SQLite: replaced 3 times*; 3 compared with the slow way",
        ]
    )


def test_a_migration_that_asks_for_more_is_named(project: Project) -> None:
    chain = Chain(project.path)
    chain.add_table("person")
    chain.add("os.getcwd()", imports="import os")

    result = project.run("--slipstream-memoize", tests=MIGRATING)

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        ["  alembic upgrade on SQLite, 5 times: the migration r2_change.py, which imports os"]
    )
