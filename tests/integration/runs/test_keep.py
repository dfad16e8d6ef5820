"""A failed test's database can be kept and looked at."""

from __future__ import annotations

import shlex
import sqlite3

from projects import Project

FAILING = """
    from app import db

    def test_fails():
        db.add("evidence")
        assert db.names() == []

    def test_passes():
        assert db.names() == []
"""


def test_kept_sqlite_database_holds_the_evidence(sqlite_project: Project) -> None:
    result = sqlite_project.run("--slipstream-keep", tests=FAILING)
    result.assert_outcomes(passed=1, failed=1)
    (kept,) = sqlite_project.events("DatabaseKept")
    result.stdout.fnmatch_lines([f"kept {kept['name']} of *test_fails", f"*{kept['shell']}"])
    connection = sqlite3.connect(shlex.split(kept["shell"])[1])
    assert connection.execute('select name from "user"').fetchall() == [("evidence",)]
    connection.close()


def test_kept_postgresql_database_holds_the_evidence(postgresql_project: Project) -> None:
    result = postgresql_project.run("--slipstream-keep", tests=FAILING)
    result.assert_outcomes(passed=1, failed=1)
    (kept,) = postgresql_project.events("DatabaseKept")
    result.stdout.fnmatch_lines([f"kept {kept['name']} of *test_fails", "*psql *"])
    # A later run finds it still there, while its own server is up.
    url = kept["url"].replace("+psycopg", "")
    result = postgresql_project.run(
        tests=f"""
            import psycopg

            def test_looks():
                with psycopg.connect({url!r}) as connection:
                    found = connection.execute('select name from "user"').fetchall()
                assert found == [("evidence",)]
        """
    )
    result.assert_outcomes(passed=1)
