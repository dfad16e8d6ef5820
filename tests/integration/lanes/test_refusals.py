"""Whatever leads to another lane's database is refused, or found out."""

from __future__ import annotations

from projects import Project


def _reads_paths(project: Project) -> None:
    text = (project.path / "pyproject.toml").read_text()
    text = text.replace('DATABASE_URL = "{url}"', 'DATABASE_URL = "{url}", DATABASE = "{database}"')
    (project.path / "pyproject.toml").write_text(text)


def test_a_driver_cannot_connect_to_another_lane(project: Project) -> None:
    _reads_paths(project)
    result = project.run(
        tests="""
            import os
            import sqlite3
            import pytest

            PATH = os.environ["DATABASE"]

            def test_fast():
                with sqlite3.connect(PATH) as connection:
                    connection.execute("insert into role (name) values ('x')")
                connection.close()

            @pytest.mark.e2e
            def test_real():
                sqlite3.connect(PATH)
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*a connection to the database 'main' of the lane 'fast' is refused, because the lane "
            "'real' is entered: the URL was read on another lane",
            "*hint: read the URL where the connection is made; with Peewee, initialise a "
            "DatabaseProxy in a fixture; or run the lane alone: --lane real",
        ]
    )


def test_what_is_written_by_a_connection_kept_open_is_found_out(project: Project) -> None:
    _reads_paths(project)
    result = project.run(
        "--slipstream-audit",
        tests="""
            import os
            import sqlite3
            import pytest

            kept = []

            @pytest.mark.db(isolation="none")
            def test_fast():
                kept.append(sqlite3.connect(os.environ["DATABASE"], isolation_level=None))
                kept[0].execute("insert into role (name) values ('x')")

            @pytest.mark.e2e
            def test_that_reads():
                assert kept[0].execute("select count(*) from role").fetchone() == (2,)

            @pytest.mark.e2e
            def test_that_writes():
                kept[0].execute("insert into role (name) values ('x')")

            @pytest.mark.e2e
            def test_after():
                assert kept[0].execute("select count(*) from role").fetchone() == (2,)
        """,
    )
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_that_writes is on the lane 'real', and wrote into the database 'main' of "
            "another lane: main.role",
            "*hint: close the connection, or the pool, that was opened on the other lane; or run "
            "the lane alone: --lane real",
        ]
    )


def test_a_peewee_database_stays_on_its_lane_and_a_proxy_goes_along(project: Project) -> None:
    text = (project.path / "pyproject.toml").read_text()
    text = text.replace("seed", "# seed").replace("app.models:Base.metadata", "schema.sql")
    text = text.replace('"mysql"', '"mysql"\ndatabases.main.driver = ""')
    (project.path / "pyproject.toml").write_text(text)
    project.write(
        {
            "schema.sql": "create table note (id integer primary key, text varchar(9));",
            "app/notes.py": """
                import os
                import peewee
                from playhouse.db_url import connect

                database = connect(os.environ["DATABASE_URL"])
                proxy = peewee.DatabaseProxy()

                class Note(peewee.Model):
                    text = peewee.CharField()

                    class Meta:
                        database = proxy
            """,
        }
    )
    result = project.run(
        "--slipstream-audit",
        tests="""
            import os
            import peewee
            import pytest
            from playhouse.db_url import connect
            from app.notes import Note, database, proxy

            @pytest.fixture(scope="session")
            def fitting():
                proxy.initialize(connect(os.environ["DATABASE_URL"]))
                yield
                proxy.close()

            lanes = pytest.mark.parametrize(
                "kind",
                [
                    peewee.SqliteDatabase,
                    pytest.param(peewee.MySQLDatabase, marks=pytest.mark.e2e),
                ],
            )

            @lanes
            @pytest.mark.parametrize("n", range(2))
            def test_proxy(fitting, kind, n):
                assert isinstance(proxy.obj, kind)
                Note.create(id=1, text="x")
                assert Note.select().count() == 1

            @lanes
            def test_database(kind):
                database.execute_sql("select 1")  # and stays connected
                assert kind is peewee.SqliteDatabase
        """,
    )
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*test_database*", "*of the lane 'fast' is refused*"])
