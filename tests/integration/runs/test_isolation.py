"""Every test owns a clean slot, whatever the others did."""

from __future__ import annotations

import pytest

from projects import Project

COMMITTING = """
    import pytest
    from app import db

    @pytest.mark.parametrize("n", range(5))
    def test_commits(n):
        assert db.names() == []
        assert db.roles() == ["admin", "member"]
        assert db.add("ada") == 1
        assert db.names() == ["ada"]
"""


def test_committed_rows_and_sequences_are_put_back(project: Project) -> None:
    result = project.run("--slipstream-audit", tests=COMMITTING)
    result.assert_outcomes(passed=5)
    cleaned = project.events("TestCleaned")
    assert [event["strategy"] for event in cleaned] == ["reset"] * 5
    assert all(event.get("escalated") is None for event in cleaned)


def test_workers_of_xdist_have_slots_of_their_own(project: Project) -> None:
    result = project.run("-n", "2", tests=COMMITTING)
    result.assert_outcomes(passed=5)
    assert len({event["slot"] for event in project.events("SlotReady")}) == 2
    result.stdout.fnmatch_lines(["*5 tests cleaned (5 by reset)*"])


def test_ddl_is_undone_and_pooled_connections_follow(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import pytest
            from sqlalchemy import inspect, text
            from app import db

            @pytest.mark.parametrize("n", range(3))
            def test_ddl(n):
                assert inspect(db.engine).get_table_names() == ["role", "user"]
                with db.engine.begin() as connection:
                    connection.execute(text("create table extra (a int)"))
                    connection.execute(text('alter table "user" add column age int'))

            def test_after():
                assert db.names() == []
                assert db.add("ada") == 1
        """,
    )
    result.assert_outcomes(passed=4)


def test_clone_gives_each_test_a_fresh_database(project: Project) -> None:
    result = project.run("--slipstream-isolation=clone", "--slipstream-audit", tests=COMMITTING)
    result.assert_outcomes(passed=5)
    assert [event["strategy"] for event in project.events("TestCleaned")] == ["clone"] * 5


def test_none_leaves_the_slot_alone_until_a_test_wants_it_clean(project: Project) -> None:
    result = project.run(
        tests="""
            import pytest
            from app import db

            @pytest.mark.db(isolation="none")
            def test_writes():
                db.add("ada")

            @pytest.mark.db(isolation="none")
            def test_reads():
                assert db.names() == ["ada"]

            def test_clean():
                assert db.names() == []
        """
    )
    result.assert_outcomes(passed=3)


def test_unittest_cases_are_isolated_like_functions(project: Project) -> None:
    result = project.run(
        "--slipstream-audit",
        tests="""
            import unittest
            from app import db

            class TestSync(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    db.add("class")

                def setUp(self):
                    db.add("own")

                def test_one(self):
                    assert db.names() == ["class", "own"]
                    assert db.add("x") == 3

                def test_two(self):
                    assert db.names() == ["class", "own"]
                    assert db.add("y") == 3

            class TestAsync(unittest.IsolatedAsyncioTestCase):
                async def asyncSetUp(self):
                    db.add("own")

                async def test_one(self):
                    assert db.names() == ["own"]

                async def test_two(self):
                    assert db.names() == ["own"]
        """,
    )
    result.assert_outcomes(passed=4)


def test_collecting_starts_nothing(postgresql_project: Project) -> None:
    result = postgresql_project.run("--collect-only", "-q", tests=COMMITTING)
    assert result.ret == pytest.ExitCode.OK
    assert postgresql_project.events("ServerReady") == []


def test_run_that_selects_no_database_test_starts_nothing(postgresql_project: Project) -> None:
    result = postgresql_project.run(
        "--slipstream-tests=marked", tests="def test_pure():\n    assert 1 + 1 == 2\n"
    )
    result.assert_outcomes(passed=1)
    assert postgresql_project.events("ServerReady") == []


def test_second_run_builds_nothing_and_a_changed_column_builds_once(project: Project) -> None:
    def built() -> list[bool]:
        return [event["built"] for event in project.events("TemplateReady")]

    project.run(tests=COMMITTING).assert_outcomes(passed=5)
    project.run().assert_outcomes(passed=5)
    assert built() == [False]
    models = project.path / "app" / "models.py"
    models.write_text(models.read_text().replace("String(20)", "String(21)"))
    project.run("-n", "2").assert_outcomes(passed=5)
    assert sorted(built()) == [False, True]


def test_two_databases_are_isolated_each(project: Project, engine_name: str) -> None:
    text = (project.path / "pyproject.toml").read_text()
    audit = (
        text[: text.index("[tool.pytest")]
        .replace("main", "audit")
        .replace("DATABASE_URL", "AUDIT_URL")
    )
    (project.path / "pyproject.toml").write_text(audit + text)
    result = project.run(
        "--slipstream-audit",
        tests="""
            import os
            import pytest
            from sqlalchemy import create_engine, text
            from app import db

            audit = create_engine(os.environ["AUDIT_URL"])

            @pytest.mark.parametrize("n", range(2))
            def test_both(n):
                assert db.names() == []
                db.add("ada")
                with audit.begin() as connection:
                    connection.execute(text("delete from role"))

            @pytest.mark.db(database="audit")
            def test_audit_alone(db):
                assert db.url == os.environ["AUDIT_URL"]
                with audit.begin() as connection:
                    assert connection.scalar(text("select count(*) from role")) == 2
        """,
    )
    result.assert_outcomes(passed=3)


def test_database_written_by_a_test_that_does_not_own_it(project: Project) -> None:
    result = project.run(
        "--slipstream-tests=marked",
        tests="""
            import pytest
            from app import db

            @pytest.mark.db
            def test_first():
                assert db.names() == []

            def test_unmarked():
                db.add("leak")

            @pytest.mark.db
            def test_marked():
                assert db.names() == []
        """,
    )
    result.assert_outcomes(passed=3)


def test_what_another_plugin_writes_after_the_last_finalizer(project: Project) -> None:
    project.write(
        {
            "conftest.py": """
                import pytest

                @pytest.hookimpl(wrapper=True)
                def pytest_runtest_teardown():
                    yield
                    from app import db
                    db.add("late")
            """
        }
    )
    project.run("--slipstream-audit", tests=COMMITTING).assert_outcomes(passed=5)
