"""Applications as they are written, under `rollback`, audited: contained, or told apart clearly."""

from __future__ import annotations

from projects import Project


def contained(project: Project, tests: str, passed: int) -> None:
    """Run the tests, all of which a rollback must contain."""
    assert reasons(project, tests, passed) == []
    used = {event["strategy"] for event in project.events("TestCleaned") if event["node_id"]}
    assert used == {"rollback"}


def reasons(project: Project, tests: str, passed: int) -> list[str]:
    """Run the tests; why a rollback did not contain some."""
    result = project.run("--slipstream-audit", tests=tests)
    result.assert_outcomes(passed=passed)
    return [event["reason"] for event in project.events("Uncontained")]


def test_sqlmodel_and_fastapi(project: Project) -> None:
    contained(
        project,
        """
        import os
        import pytest
        from fastapi import Depends, FastAPI
        from fastapi.testclient import TestClient
        from sqlalchemy.exc import IntegrityError
        from sqlmodel import Field, Session, SQLModel, create_engine, select

        class Role(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            name: str

        engine = create_engine(os.environ["DATABASE_URL"])
        app = FastAPI()

        def session():
            with Session(engine) as session:
                yield session

        @app.post("/roles/{name}")
        def add(name: str, session: Session = Depends(session)):
            try:
                session.add(Role(name=name))
                session.commit()
            except IntegrityError:
                session.rollback()
                return {"added": False}
            return {"added": True}

        @app.get("/roles")
        def names(session: Session = Depends(session)):
            return [role.name for role in session.exec(select(Role).order_by(Role.id))]

        @pytest.mark.parametrize("n", range(3))
        def test_requests(n):
            with TestClient(app) as client:
                assert client.get("/roles").json() == ["admin", "member"]
                assert client.post("/roles/x").json() == {"added": True}
                assert client.post("/roles/x").json() == {"added": False}
                assert client.post("/roles/y").json() == {"added": True}
                assert client.get("/roles").json() == ["admin", "member", "x", "y"]
        """,
        passed=3,
    )


def test_flask_sqlalchemy(project: Project) -> None:
    contained(
        project,
        """
        import os
        import pytest
        from flask import Flask
        from flask_sqlalchemy import SQLAlchemy
        from app.models import Base, Role

        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
        db = SQLAlchemy(app, model_class=Base)

        @app.post("/roles/<name>")
        def add(name):
            db.session.add(Role(name=name))
            db.session.commit()
            return ""

        @app.post("/fail/<name>")
        def fail(name):
            db.session.add(Role(name=name))
            db.session.flush()
            return "", 400

        @app.get("/roles")
        def names():
            return [role.name for role in db.session.query(Role).order_by(Role.id)]

        @pytest.mark.parametrize("n", range(3))
        def test_requests(n):
            client = app.test_client()
            client.post("/roles/x")
            client.post("/fail/y")
            assert client.get("/roles").json == ["admin", "member", "x"]
            with app.app_context():
                db.session.add(Role(name="left open"))
                db.session.flush()
                assert db.session.query(Role).count() == 4
            assert client.get("/roles").json == ["admin", "member", "x"]
        """,
        passed=3,
    )


def test_psycopg(postgresql_project: Project) -> None:
    contained(
        postgresql_project,
        """
        import psycopg
        import pytest

        @pytest.fixture
        def connection(db):
            with psycopg.connect(db.url.replace("+psycopg", "")) as connection:
                assert names(connection) == ["admin", "member"]
                connection.commit()
                yield connection

        def names(connection):
            return [name for name, in connection.execute("SELECT name FROM role ORDER BY id")]

        @pytest.mark.parametrize("n", range(2))
        def test_copy(connection, n):
            with connection.cursor() as cursor:
                with cursor.copy("COPY role (name) FROM STDIN") as copy:
                    copy.write_row(["x"])
                    copy.write_row(["y"])
                connection.commit()
                with cursor.copy("COPY (SELECT name FROM role ORDER BY id) TO STDOUT") as copy:
                    assert [row[0] for row in copy.rows()] == ["admin", "member", "x", "y"]
            with pytest.raises(psycopg.errors.UniqueViolation):
                with connection.cursor().copy("COPY role (name) FROM STDIN") as copy:
                    copy.write_row(["x"])
            connection.rollback()
            assert names(connection) == ["admin", "member", "x", "y"]

        @pytest.mark.parametrize("n", range(2))
        def test_a_cursor_of_the_server(connection, n):
            connection.execute("INSERT INTO role (name) SELECT generate_series(1, 9)::text")
            with connection.cursor("slow") as cursor:
                cursor.itersize = 2
                cursor.execute("SELECT name FROM role ORDER BY id")
                assert len([name for name, in cursor]) == 11
            connection.commit()
            assert len(names(connection)) == 11

        @pytest.mark.parametrize("n", range(2))
        def test_a_pipeline(connection, n):
            with connection.pipeline():
                for name in "abc":
                    connection.execute("INSERT INTO role (name) VALUES (%s)", [name])
            connection.commit()
            with pytest.raises(psycopg.errors.UniqueViolation), connection.pipeline():
                connection.execute("INSERT INTO role (name) VALUES ('d')")
                connection.execute("INSERT INTO role (name) VALUES ('a')")
            connection.rollback()
            assert names(connection) == ["admin", "member", "a", "b", "c"]

        @pytest.mark.parametrize("n", range(2))
        def test_many(connection, n):
            cursor = connection.cursor()
            with connection.transaction():
                cursor.executemany(
                    "INSERT INTO role (name) VALUES (%s) RETURNING name",
                    [("x",), ("y",)],
                    returning=True,
                )
                found = [cursor.fetchone()[0]]
                while cursor.nextset():
                    found.append(cursor.fetchone()[0])
            assert found == ["x", "y"]
            assert len(names(connection)) == 4

        def test_notify(connection, db):
            connection.execute("LISTEN news")
            connection.execute("NOTIFY news, 'it'")
            connection.commit()
            assert list(connection.notifies(timeout=0.1)) == []  # as the limitations say
        """,
        passed=9,
    )


def test_psycopg2(postgresql_project: Project) -> None:
    contained(
        postgresql_project,
        """
        import io
        import psycopg2
        import pytest
        from psycopg2.extras import execute_values

        @pytest.mark.parametrize("n", range(3))
        def test_all_of_it(db, n):
            connection = psycopg2.connect(db.url.replace("+psycopg", ""))
            cursor = connection.cursor()
            cursor.copy_expert("COPY role (name) FROM STDIN", io.StringIO("x\\ny\\n"))
            execute_values(cursor, "INSERT INTO role (name) VALUES %s", [("z",), ("w",)])
            cursor.executemany("INSERT INTO role (name) VALUES (%s)", [("u",), ("v",)])
            connection.commit()
            with connection.cursor("slow") as slow:
                slow.itersize = 2
                slow.execute("SELECT name FROM role")
                assert len(list(slow)) == 8
            connection.rollback()
            with pytest.raises(psycopg2.errors.UniqueViolation), connection:
                cursor.execute("INSERT INTO role (name) VALUES ('x')")
            out = io.StringIO()
            cursor.copy_expert("COPY (SELECT name FROM role ORDER BY id) TO STDOUT", out)
            assert out.getvalue().split() == ["admin", "member", "x", "y", "z", "w", "u", "v"]
            connection.close()
        """,
        passed=3,
    )


def test_a_pool_of_psycopg(postgresql_project: Project) -> None:
    contained(
        postgresql_project,
        """
        import pytest
        from psycopg_pool import ConnectionPool

        @pytest.fixture(scope="module")
        def pool():
            from os import environ
            url = environ["DATABASE_URL"].replace("+psycopg", "")
            with ConnectionPool(url, min_size=2, max_size=3) as pool:
                yield pool

        @pytest.mark.parametrize("n", range(4))
        def test_two_at_once(pool, n):
            with pool.connection() as one, pool.connection() as other:
                one.execute("INSERT INTO role (name) VALUES ('x')")
                one.commit()
                count = "SELECT count(*) FROM role"
                assert other.execute(count).fetchone() == (3,)
            with pytest.raises(ZeroDivisionError), pool.connection() as one:
                one.execute("INSERT INTO role (name) VALUES ('y')")
                1 / 0
            with pool.connection() as one:
                assert one.execute(count).fetchone() == (3,)
        """,
        passed=4,
    )


def test_fixtures_of_slipstream_together(project: Project, engine_name: str) -> None:
    found = reasons(
        project,
        """
        import pytest
        from app.models import Role

        @pytest.mark.parametrize("n", range(3))
        def test_both(db, db_session, n):
            db_session.add(Role(name="x"))
            db_session.commit()
            connection = db.connect()
            cursor = connection.cursor()
            cursor.execute("INSERT INTO role (name) VALUES ('y')")
            connection.commit()
            connection.close()
            found = [role.name for role in db_session.query(Role).order_by(Role.id)]
            assert found == ["admin", "member", "x", "y"]
        """,
        passed=3,
    )
    # SQLAlchemy asks PyMySQL for other counts of rows than `db.connect()` does.
    assert found == ["it uses a second connection, of another driver, event loop or parameters"] * (
        engine_name == "mysql"
    )


def test_threads_at_once(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
        import threading
        import pytest
        from concurrent.futures import ThreadPoolExecutor
        from app import db

        @pytest.mark.parametrize("n", range(3))
        def test_they_take_turns_or_are_told(n):
            barrier = threading.Barrier(4)

            def work(number):
                barrier.wait(10)
                for count in range(5):
                    db.add(f"{number} {count}")

            with ThreadPoolExecutor(4) as threads:
                failed = [each.exception(30) for each in [
                    threads.submit(work, number) for number in range(4)]]
            print([str(e) for e in failed if e])
            assert all(type(each).__name__ in ("NoneType", "IsolationError") for each in failed)
            if failed == [None] * 4:
                assert len(db.names()) == 20

        def test_clean():
            assert db.names() == []
        """,
    )
    result.assert_outcomes(passed=4)
