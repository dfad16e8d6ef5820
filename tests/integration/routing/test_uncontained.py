"""What a rollback cannot contain is named, and cleaned by `reset`: no trace is left or hidden."""

from __future__ import annotations

import re

import pytest

from projects import Project

BOTH = """
    import os
    import subprocess
    import sys
    import threading

    import pytest
    from sqlalchemy import text
    from sqlalchemy.orm import Session
    from app import db
    from app.models import User

    def test_another_process():  # before this one has read: SQLite's readers keep writers out
        subprocess.run([sys.executable, "-c", "from app import db; db.add('ada')"], check=True)
        assert db.names() == ["ada"]

    @pytest.fixture
    def clean():
        assert db.names() == []

    @pytest.mark.usefixtures("clean")
    @pytest.mark.parametrize("n", range(2))
    def test_a_statement_that_cannot_be_rolled_back(n):
        db.add("ada")
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(CANNOT_BE_ROLLED_BACK))
        assert db.add("bob") > 1
        assert db.names() == ["ada", "bob"]

    def test_a_rollback_that_would_take_anothers_commit_along():
        with Session(db.engine) as session:
            session.add(User(name="ada", role_id=1))
            session.flush()
            db.add("bob")
            with pytest.raises(Exception, match="another connection has written since") as caught:
                session.rollback()
            assert type(caught.value).__name__ == "IsolationError"
            assert '@pytest.mark.db(isolation="reset")' in str(caught.value)

    def test_threads_one_after_the_other_are_contained():
        thread = threading.Thread(target=db.add, args=("ada",))
        thread.start()
        thread.join()
        assert db.names() == ["ada"]

    @pytest.fixture(scope="module")
    def wide():
        return db.add("wide")

    def test_a_wider_fixture_in_mid_test(request):
        db.add("ada")
        request.getfixturevalue("wide")
        assert db.names() == ["ada", "wide"]

    @pytest.mark.usefixtures("clean")
    def test_its_layer_is_left(wide):
        with Session(db.engine) as session:
            session.query(User).filter_by(name="wide").delete()
            session.commit()
"""


def reasons(project: Project) -> dict[str, str]:
    return {
        event["node_id"].partition("::")[2]: event["reason"]
        for event in project.events("Uncontained")
    }


def test_on_each_engine(project: Project, engine_name: str) -> None:
    statement = "OPTIMIZE TABLE users" if engine_name == "mysql" else "VACUUM"
    tests = BOTH.replace("CANNOT_BE_ROLLED_BACK", repr(statement))
    result = project.run("--slipstream-audit", tests=tests)
    result.assert_outcomes(passed=6, errors=1)  # the last one finds a layer, as it should
    assert reasons(project) == {
        "test_another_process": "a connection that had not joined the test's has committed",
        "test_a_statement_that_cannot_be_rolled_back[0]": (
            f"the statement {statement!r} cannot be rolled back"
        ),
        "test_a_rollback_that_would_take_anothers_commit_along": (
            "it rolls back what it wrote, and another connection has written since"
        ),
        "test_a_wider_fixture_in_mid_test": ("the module fixture 'wide' is set up within the test"),
    }
    assert project.events("TraceFound") == []
    result.stdout.re_match_lines(
        [r"not contained by a rollback, and cleaned by reset: 4"],
    )
    assert re.search(r"test_another_process: a connection that had not", result.stdout.str())


def test_two_drivers(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        "--slipstream-audit",
        tests="""
            import psycopg2
            import pytest
            from app import db

            def other():
                return psycopg2.connect(str(db.engine.url.set(drivername="postgresql")))

            @pytest.mark.parametrize("n", range(2))
            def test_both_see_each_other(n):
                db.add("ada")
                connection = other()
                cursor = connection.cursor()
                cursor.execute('SELECT name FROM "user"')
                assert cursor.fetchall() == [("ada",)]
                cursor.execute("INSERT INTO role (name) VALUES ('x')")
                connection.commit()
                connection.close()
                assert db.roles() == ["admin", "member", "x"]

            def test_within_a_transaction():
                with db.engine.begin() as connection:
                    connection.exec_driver_sql("INSERT INTO role (name) VALUES ('x')")
                    with pytest.raises(Exception, match="a transaction is open"):
                        other().cursor().execute("SELECT 1")

            def test_clean():
                assert db.roles() == ["admin", "member"]
        """,
    )
    result.assert_outcomes(passed=4)
    assert set(reasons(postgresql_project).values()) == {
        "it uses a second connection, of another driver, event loop or parameters"
    }


def test_isolation_levels(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        "--slipstream-audit",
        tests="""
            from app import db

            def test_serializable():
                db.add("ada")
                options = {"isolation_level": "SERIALIZABLE"}
                with db.engine.connect().execution_options(**options) as connection:
                    level = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
                    assert level == "serializable"
                assert db.names() == ["ada"]

            def test_clean():
                assert db.names() == []
        """,
    )
    result.assert_outcomes(passed=2)
    assert list(reasons(postgresql_project)) == ["test_serializable"]


def test_ddl_of_mysql(pytester: pytest.Pytester, cache_dir: object) -> None:
    project = Project(
        pytester,
        """
        [tool.slipstream.databases.main]
        engine = "mysql"
        isolation = "rollback"
        schema = "app.models:Base.metadata"
        seed = "app.seed:fill"
        env = { DATABASE_URL = "{url}" }
        """,
    )
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db

            @pytest.mark.parametrize("n", range(2))
            def test_ddl(n):
                db.add("ada")
                with db.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                ) as connection:
                    connection.execute(text("CREATE TABLE extra (a int)"))
                    connection.execute(text("INSERT INTO extra VALUES (1)"))
                assert db.names() == ["ada"]

            def test_within_a_transaction():
                with db.engine.begin() as connection:
                    connection.execute(text("INSERT INTO role (name) VALUES ('x')"))
                    with pytest.raises(Exception, match="cannot be rolled back; it cannot go on"):
                        connection.execute(text("CREATE TABLE extra (a int)"))

            def test_clean():
                assert (db.names(), db.roles()) == ([], ["admin", "member"])
        """,
    )
    result.assert_outcomes(passed=4)
    assert len(reasons(project)) == 2


def test_a_wider_fixtures_open_transaction(project: Project) -> None:
    result = project.run(
        tests="""
            import pytest
            from sqlalchemy.orm import Session
            from sqlalchemy import select
            from app import db
            from app.models import Role, User

            @pytest.fixture(scope="module")
            def session():
                with Session(db.engine) as session:
                    session.connection().exec_driver_sql("UPDATE role SET name = name")
                    session.rollback()
                    session.connection().exec_driver_sql("SELECT 1")
                    yield session

            def test_goes_on(session):
                assert session.scalars(select(Role.name)).all() == ["admin", "member"]
                session.add(User(name="ada", role_id=1))
                session.commit()
                assert db.names() == ["ada"]

            def test_clean():
                assert db.names() == []
        """
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("strategy", ["rollback", "reset"])
def test_deferred_constraints(postgresql_project: Project, strategy: str) -> None:
    project = postgresql_project
    project.write(
        {
            "schema.sql": """
                CREATE TABLE parent (id int PRIMARY KEY);
                CREATE TABLE child (
                    parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED
                );
            """
        }
    )
    project.configure(
        """
        [tool.slipstream.databases.main]
        engine = "postgresql"
        schema = "schema.sql"
        """
    )
    result = project.run(
        f"--slipstream-isolation={strategy}",
        tests="""
            import pytest
            from sqlalchemy import text
            from sqlalchemy.exc import IntegrityError

            @pytest.mark.parametrize("n", range(2))
            def test_a_commit_checks(db_engine, n):
                with db_engine.connect() as connection:
                    connection.execute(text("INSERT INTO child VALUES (1)"))
                    with pytest.raises(IntegrityError, match="violates foreign key"):
                        connection.commit()
                    connection.rollback()
                    connection.execute(text("INSERT INTO child VALUES (2)"))
                    connection.execute(text("INSERT INTO parent VALUES (2)"))
                    connection.commit()
                    assert connection.execute(text("SELECT * FROM child")).all() == [(2,)]
        """,
    )
    result.assert_outcomes(passed=2)
    assert {event["strategy"] for event in project.events("TestCleaned")} == {strategy}
