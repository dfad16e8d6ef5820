"""Whole runs with ``strict = true``: the application is as it was, wrong values are refused."""

from __future__ import annotations

import pytest

from projects import Project

STRICT = """
    [tool.slipstream.databases.main]
    engine = "sqlite"
    strict = true
    schema = "app.models:Base.metadata"
    seed = "app.seed:fill"
    env = {{ DATABASE_URL = "{{url}}" }}
    {more}
"""


@pytest.fixture(params=["", "memory = true"], ids=["file", "memory"])
def strict(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Project:
    return Project(pytester, STRICT.format(more=request.param))


def test_a_value_that_is_too_long_is_refused_and_named(strict: Project):
    result = strict.run(
        tests="""
            import pytest
            from sqlalchemy import exc
            from app import db

            def test_too_long():
                with pytest.raises(exc.IntegrityError, match="user.name is VARCHAR.20. and takes "):
                    db.add("x" * 21)
                assert db.names() == []

            def test_long_enough():
                db.add("x" * 20)
                assert db.names() == ["x" * 20]
        """
    )
    result.assert_outcomes(passed=2)


def test_a_seed_that_strict_refuses_is_an_error(strict: Project):
    strict.write(
        {
            "app/seed.py": """
                import sqlite3
                from app.models import Role
                from sqlalchemy import create_engine

                def fill(url):
                    engine, name = create_engine(url), "a" * 21
                    with engine.begin() as connection:
                        connection.exec_driver_sql("INSERT INTO role (name) VALUES (?)", (name,))
                    engine.dispose()
            """
        }
    )
    result = strict.run(tests="def test(): pass")
    result.stdout.fnmatch_lines(
        [
            "*the template of the database 'main' has a row that strict = true refuses: "
            "role.name is VARCHAR(20) and takes a text of at most 20 characters, not "
            "'aaaaaaaaaaaaaaaaaaaaa'*",
            "*hint: correct the value in the seed, or the column's type in the schema*",
        ]
    )


def test_a_seed_with_a_dangling_reference_is_an_error(strict: Project):
    strict.write(
        {
            "app/seed.py": """
                from sqlalchemy import create_engine

                def fill(url):
                    engine = create_engine(url)
                    with engine.begin() as connection:
                        connection.exec_driver_sql(
                            "INSERT INTO user (name, role_id) VALUES ('ann', 7)"
                        )
                    engine.dispose()
            """
        }
    )
    result = strict.run(tests="def test(): pass")
    result.stdout.fnmatch_lines(
        [
            "*the row 1 of user refers to a row of role that is not there*",
            "*hint: insert the other row in the seed, too*",
        ]
    )


def test_the_audit_finds_nothing(strict: Project):
    result = strict.run(
        "--slipstream-audit",
        tests="""
            from app import db

            def test_one():
                db.add("ann")

            def test_two():
                with db.engine.begin() as connection:
                    connection.exec_driver_sql("DROP TRIGGER slipstream_strict_insert_user")

            def test_three():
                assert db.names() == []
        """,
    )
    result.assert_outcomes(passed=3)
