"""Under `rollback` what the application commits is seen by all of its connections, and is gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from projects import Project

APPLICATION = """
    import pytest
    from sqlalchemy import create_engine, func, select, text
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.orm import Session, scoped_session, sessionmaker
    from app import db
    from app.models import User

    left_open = []
    Scoped = scoped_session(sessionmaker(db.engine))

    @pytest.fixture(autouse=True)
    def clean():
        assert db.names() == []
        assert db.roles() == ["admin", "member"]

    @pytest.mark.parametrize("n", range(3))
    def test_commits_and_errors(n):
        assert db.add("ada") == 1
        with pytest.raises(IntegrityError):
            db.add("ada")
        assert db.add("bob") > 1
        assert db.names() == ["ada", "bob"]

    def test_a_session_goes_on_after_an_error():
        with Session(db.engine) as session:
            session.add(User(name="ada", role_id=1))
            session.commit()
            session.add(User(name="ada", role_id=1))
            with pytest.raises(IntegrityError):
                session.flush()
            session.rollback()
            session.add(User(name="bob", role_id=1))
            session.commit()
        assert db.names() == ["ada", "bob"]

    def test_what_is_rolled_back_is_gone_at_once():
        with Session(db.engine) as session:
            session.add(User(name="ada", role_id=1))
            session.commit()
            session.add(User(name="bob", role_id=1))
            session.flush()
            session.rollback()
            assert session.scalars(select(User.name)).all() == ["ada"]

    def test_savepoints_of_the_application():
        with Session(db.engine) as session:
            session.add(User(name="ada", role_id=1))
            with pytest.raises(ZeroDivisionError), session.begin_nested():
                session.add(User(name="bob", role_id=1))
                session.flush()
                1 / 0
            with session.begin_nested():
                session.add(User(name="eve", role_id=1))
            session.commit()
        assert db.names() == ["ada", "eve"]

    def test_a_session_that_only_reads_lies_under_commits_of_others():
        with Session(db.engine) as reading:
            assert reading.scalar(select(func.count(User.id))) == 0
            db.add("ada")
            assert reading.scalar(select(func.count(User.id))) == 1
            db.add("bob")
            reading.rollback()
            assert reading.scalar(select(func.count(User.id))) == 2
        assert db.names() == ["ada", "bob"]

    def test_an_engine_that_the_test_makes():
        engine = create_engine(db.engine.url)
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO role (name) VALUES ('x')"))
        engine.dispose()
        assert db.roles()[-1] == "x"

    def test_autocommit():
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("INSERT INTO role (name) VALUES ('x')"))
            with pytest.raises(IntegrityError):
                connection.execute(text("INSERT INTO role (name) VALUES ('x')"))
            connection.execute(text("INSERT INTO role (name) VALUES ('y')"))
        assert db.roles()[-2:] == ["x", "y"]

    def test_many_rows():
        with db.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO role (name) VALUES (:name)"),
                [{"name": f"r{n}"} for n in range(50)],
            )
        assert len(db.roles()) == 52

    @pytest.mark.parametrize("n", range(2))
    def test_scoped_session(n):
        Scoped.add(User(name="ada", role_id=1))
        Scoped.commit()
        assert db.names() == ["ada"]
        Scoped.remove()

    @pytest.mark.parametrize("n", range(2))
    def test_a_session_that_is_left_open(n):
        session = Session(db.engine)
        left_open.append(session)
        session.add(User(name="ada", role_id=1))
        session.commit()
        assert session.scalars(select(User.name)).all() == ["ada"]

    def test_fixtures_of_slipstream(db_session, db_engine):
        db_session.add(User(name="ada", role_id=1))
        db_session.commit()
        assert db.names() == ["ada"]
"""

CONFIGURATIONS = {
    "sqlite": 'engine = "sqlite"',
    "sqlite in memory": 'engine = "sqlite"\nmemory = true',
    "psycopg": 'engine = "postgresql"',
    "psycopg2": 'engine = "postgresql"\ndriver = "psycopg2"',
    "pymysql": 'engine = "mysql"',
    "mysqlclient": 'engine = "mysql"\ndriver = "mysqldb"',
}


def configuration(name: str) -> str:
    return f"""
[tool.slipstream.databases.main]
{CONFIGURATIONS[name]}
isolation = "rollback"
schema = "app.models:Base.metadata"
seed = "app.seed:fill"
env = {{ DATABASE_URL = "{{url}}" }}
"""


@pytest.fixture
def make_project(pytester: pytest.Pytester, cache_dir: object) -> Callable[[str], Project]:
    def make(name: str) -> Project:
        if name == "mysqlclient":
            pytest.importorskip("MySQLdb")
        return Project(pytester, configuration(name))

    return make


def strategies(project: Project) -> set[str]:
    return {event["strategy"] for event in project.events("TestCleaned")}


@pytest.mark.parametrize("driver", CONFIGURATIONS)
def test_an_application_with_sqlalchemy(
    make_project: Callable[[str], Project], driver: str
) -> None:
    project = make_project(driver)
    result = project.run("--slipstream-audit", tests=APPLICATION)
    result.assert_outcomes(passed=15)
    assert [event["reason"] for event in project.events("Uncontained")] == []
    assert strategies(project) == {"rollback"}


LAYERS = """
    import pytest
    from app import db

    @pytest.fixture(scope="module")
    def ada():
        return db.add("ada")

    @pytest.fixture(scope="class")
    def bob(ada):
        return db.add("bob")

    def test_without():
        assert db.names() == []
        db.add("x")

    @pytest.mark.usefixtures("bob")
    class TestBoth:
        @pytest.mark.parametrize("n", range(2))
        def test_both(self, n):
            assert db.names() == ["ada", "bob"]
            assert db.add("eve") == 3

    def test_ada(ada):
        assert db.names() == ["ada"]
        db.add("x")

    @pytest.mark.db(isolation="reset")
    def test_reset(ada):
        assert db.names() == ["ada"]
        db.add("x")

    def test_ada_again(ada):
        assert db.names() == ["ada"]
"""


@pytest.mark.parametrize("driver", CONFIGURATIONS)
def test_wider_fixtures_lie_under_rollbacks(
    make_project: Callable[[str], Project], driver: str
) -> None:
    project = make_project(driver)
    result = project.run("--slipstream-audit", tests=LAYERS)
    result.assert_outcomes(passed=6)
    assert project.events("Uncontained") == []
    used = {
        event["node_id"]: event["strategy"]
        for event in project.events("TestCleaned")
        if event["node_id"]
    }
    assert set(used.values()) == {"rollback", "reset"}
    assert [node_id for node_id in used if used[node_id] == "reset"] == ["test_it.py::test_reset"]
