"""What a test leaves open or running is ended, named, and never holds the run up."""

from __future__ import annotations

import pytest

from projects import Project


def test_open_transaction_is_ended_and_named(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            from sqlalchemy import text
            from app import db

            held = []

            def test_leaves():
                connection = db.engine.connect()
                connection.execute(text("insert into role (name) values ('left')"))
                held.append(connection)

            def test_next():
                assert db.roles() == ["admin", "member"]
                db.add("ada")
        """,
    )
    result.assert_outcomes(passed=2)
    (leftover,) = project.events("LeftoverFound")
    assert leftover["kind"] == "transaction"
    assert leftover["node_id"].endswith("test_leaves")
    result.stdout.fnmatch_lines(["*left behind and ended: 1*", "*test_leaves: transaction*"])


def test_session_of_a_module_that_is_left_in_a_transaction_goes_on(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import func, select
            from sqlalchemy.orm import Session
            from app import db
            from app.models import User

            session = Session(db.engine)

            @pytest.mark.parametrize("n", range(3))
            def test_uses_it(n):
                assert session.scalar(select(func.count()).select_from(User)) == 0
                session.add(User(name="ada", role_id=1))
                session.flush()
                session.expunge_all()
        """,
    )
    result.assert_outcomes(passed=3)
    assert len(project.events("LeftoverFound")) == 3


def test_advisory_locks_and_temporary_tables_of_pooled_connections(
    postgresql_project: Project,
) -> None:
    result = postgresql_project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db

            def _write():
                assert db.names() == []
                db.add("ada")

            @pytest.mark.parametrize("n", range(2))
            def test_lock(n):
                _write()
                with db.engine.begin() as connection:
                    connection.execute(text("select pg_advisory_lock(7)"))

            @pytest.mark.parametrize("n", range(2))
            def test_temporary(n):
                _write()
                with db.engine.begin() as connection:
                    connection.execute(text("create temp table scratch (a int)"))

            def test_clean():
                with db.engine.begin() as connection:
                    locks = "select count(*) from pg_locks where locktype = 'advisory'"
                    assert connection.scalar(text(f"{locks} and objid = 7")) == 0
                    assert connection.scalar(text("select to_regclass('pg_temp.scratch')")) is None
        """,
    )
    result.assert_outcomes(passed=5)
    kinds = [event["kind"] for event in postgresql_project.events("LeftoverFound")]
    assert sorted(set(kinds)) == ["advisory lock", "temporary table"]


def test_transaction_of_a_wider_fixture_is_left_alone(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        tests="""
            import pytest
            from sqlalchemy import text
            from app import db

            @pytest.fixture(scope="module")
            def watching():
                with db.engine.connect() as connection:
                    connection.execute(text("select 1"))
                    yield connection

            @pytest.mark.parametrize("n", range(3))
            def test_watch(watching, n):
                assert watching.scalar(text("select 1")) == 1
                db.add("ada")
        """
    )
    result.assert_outcomes(passed=3)
    assert postgresql_project.events("LeftoverFound") == []


@pytest.mark.parametrize("status", [0, 1])
def test_thread_left_behind_is_named_and_the_run_ends(sqlite_project: Project, status: int) -> None:
    result = sqlite_project.run(
        tests=f"""
            import threading

            def test_leaves_a_thread():
                threading.Thread(target=threading.Event().wait, name="waits-for-ever").start()
                assert {status} == 0
        """
    )
    assert result.ret == status
    result.stdout.fnmatch_lines(["*test_leaves_a_thread: thread 'waits-for-ever'*"])
    result.stderr.fnmatch_lines(["*left the thread 'waits-for-ever' running*"])


def test_connection_left_open_does_not_hold_the_run_up(project: Project) -> None:
    result = project.run(
        tests="""
            from app import db

            held = []

            def test_leaves():
                held.append(db.engine.connect())

            def test_next():
                db.add("ada")
        """
    )
    result.assert_outcomes(passed=2)
