"""Strict SQLite on every connection of the application, whoever opens it and however."""

from __future__ import annotations

import sys

import pytest

from projects import Project

CONFIGURATION = """
    [tool.slipstream.databases.main]
    engine = "sqlite"
    strict = true
    schema = "schema.sql"
    env = {{ DATABASE_URL = "{{url}}", DATABASE_PATH = "{{database}}" }}
    {more}
"""
SCHEMA = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(3));
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id));
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester, CONFIGURATION.format(more=""))
    project.write({"schema.sql": SCHEMA})
    return project


TESTS = """
    import asyncio, os, sqlite3
    from contextlib import closing
    from sqlite3 import connect as connect_of_the_module

    import aiosqlite
    import peewee
    import pytest
    import sqlalchemy
    from sqlalchemy.ext.asyncio import create_async_engine

    PATH, URL = os.environ["DATABASE_PATH"], os.environ["DATABASE_URL"]
    engine = sqlalchemy.create_engine(URL)
    async_engine = create_async_engine(URL.replace("sqlite:", "sqlite+aiosqlite:"))
    database = peewee.SqliteDatabase(PATH)

    class Own(sqlite3.Connection):
        def cursor(self, factory=sqlite3.Cursor):
            return super().cursor(factory)

    class Parent(peewee.Model):
        name = peewee.CharField()

        class Meta:
            database = database

    ORPHAN = "INSERT INTO child (parent_id) VALUES (9)"
    LONG = "INSERT INTO parent (name) VALUES ('long')"
    TOO_LONG = r"parent.name is VARCHAR\\(3\\) and takes a text of at most 3 characters, not "
    VALUE = "'long'"

    @pytest.mark.parametrize("connect", [
        lambda: sqlite3.connect(PATH),
        lambda: sqlite3.connect(database=PATH, isolation_level=None),
        lambda: sqlite3.dbapi2.connect(f"file:{PATH}", uri=True),
        lambda: connect_of_the_module(PATH, factory=sqlite3.Connection),
        lambda: connect_of_the_module(PATH, 5, 0, "DEFERRED", True, sqlite3.Connection, 10, False),
    ])
    def test_sqlite3(connect):
        with closing(connect()) as connection:
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                connection.execute(ORPHAN)
            with pytest.raises(sqlite3.IntegrityError, match=TOO_LONG + VALUE):
                connection.execute(LONG)
            with pytest.raises(sqlite3.IntegrityError, match=TOO_LONG + VALUE):
                connection.cursor().executescript(f"SELECT 1; {LONG}")
            with pytest.raises(sqlite3.IntegrityError, match=TOO_LONG + "'xxxx'"):
                rows = (["x" * n] for n in range(9))
                connection.executemany("INSERT INTO parent (name) VALUES (?)", rows)

    def test_a_class_of_its_own():
        with closing(sqlite3.connect(PATH, factory=Own)) as connection:
            assert isinstance(connection, Own)
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                connection.execute(ORPHAN)
            with pytest.raises(sqlite3.IntegrityError, match=TOO_LONG):
                connection.execute(LONG)

    def test_sqlalchemy():
        with pytest.raises(sqlalchemy.exc.IntegrityError, match="FOREIGN KEY"):
            with engine.begin() as connection:
                connection.exec_driver_sql(ORPHAN)
        with pytest.raises(sqlalchemy.exc.IntegrityError, match=TOO_LONG + VALUE):
            with engine.begin() as connection:
                connection.exec_driver_sql(LONG)

    def test_async_sqlalchemy():
        async def insert(sql):
            async with async_engine.begin() as connection:
                await connection.exec_driver_sql(sql)
            await async_engine.dispose()

        with pytest.raises(sqlalchemy.exc.IntegrityError, match="FOREIGN KEY"):
            asyncio.run(insert(ORPHAN))
        with pytest.raises(sqlalchemy.exc.IntegrityError, match=TOO_LONG + VALUE):
            asyncio.run(insert(LONG))

    def test_peewee():
        with database.connection_context():
            with pytest.raises(peewee.IntegrityError, match="FOREIGN KEY"):
                database.execute_sql(ORPHAN)
            with pytest.raises(peewee.IntegrityError, match=TOO_LONG + VALUE):
                Parent.create(name="long")

    def test_the_fixture(db):
        with closing(db.connect()) as connection:
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                connection.execute(ORPHAN)

    def test_an_application_may_turn_foreign_keys_off():
        with closing(sqlite3.connect(PATH)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(ORPHAN)
            connection.commit()

    def test_other_databases_are_left_alone(tmp_path):
        with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
            assert connection.execute("PRAGMA foreign_keys").fetchone() == (0,)
            assert type(connection) is sqlite3.Connection
"""


def test_whoever_connects(project: Project):
    project.run(tests=TESTS).assert_outcomes(passed=12)


def test_in_memory(project: Project):
    project.configure(CONFIGURATION.format(more="memory = true"))
    result = project.run(
        tests="""
            import os, sqlite3
            import pytest
            import sqlalchemy

            engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])

            def test_it():
                with engine.connect() as connection:
                    with pytest.raises(sqlalchemy.exc.IntegrityError, match="FOREIGN KEY"):
                        connection.exec_driver_sql("INSERT INTO child (parent_id) VALUES (9)")
                    with pytest.raises(sqlalchemy.exc.IntegrityError, match="not 'long'"):
                        connection.exec_driver_sql("INSERT INTO parent (name) VALUES ('long')")
        """
    )
    result.assert_outcomes(passed=1)


def test_under_rollback(project: Project):
    project.configure(CONFIGURATION.format(more='isolation = "rollback"'))
    result = project.run(
        tests="""
            import os, sqlite3
            import pytest
            import sqlalchemy

            engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])

            @pytest.mark.parametrize("again", range(2))
            def test_it(again):
                with engine.connect() as connection:
                    connection.exec_driver_sql("INSERT INTO parent (id) VALUES (1)")
                    connection.commit()
                    with pytest.raises(sqlalchemy.exc.IntegrityError, match="FOREIGN KEY"):
                        connection.exec_driver_sql("INSERT INTO child (parent_id) VALUES (9)")
                    with pytest.raises(sqlalchemy.exc.IntegrityError, match="not 'long'"):
                        connection.exec_driver_sql("INSERT INTO parent (name) VALUES ('long')")
        """
    )
    result.assert_outcomes(passed=2)
    assert {event["strategy"] for event in project.events("TestCleaned")} == {"rollback"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has these since Python 3.12")
def test_since_python_3_12(project: Project):
    result = project.run(
        tests="""
            import os, sqlite3
            from contextlib import closing
            import pytest

            PATH = os.environ["DATABASE_PATH"]

            @pytest.mark.parametrize("autocommit", [True, False])
            def test_transaction_control(autocommit):
                with closing(sqlite3.connect(PATH, autocommit=autocommit)) as connection:
                    assert connection.autocommit is autocommit
                    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                        connection.execute("INSERT INTO child (parent_id) VALUES (9)")

            def test_a_mistyped_column():
                with closing(sqlite3.connect(PATH)) as connection:
                    with pytest.raises(sqlite3.OperationalError, match="no such column"):
                        connection.execute('SELECT * FROM parent WHERE "nmae" = 1')
        """
    )
    result.assert_outcomes(passed=3)
