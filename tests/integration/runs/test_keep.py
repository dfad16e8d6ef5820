"""A failed test's database can be kept and looked at."""

from __future__ import annotations

import os
import shlex
import sqlite3
from pathlib import Path

import psycopg
import pytest

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
    connection = sqlite3.connect(kept["url"].partition("///")[2])
    assert connection.execute('select name from "user"').fetchall() == [("evidence",)]
    connection.close()


def test_kept_postgresql_database_holds_the_evidence(
    postgresql_project: Project, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_CACHE_DIR", str(short_path))
    result = postgresql_project.run("--slipstream-keep", tests=FAILING)
    result.assert_outcomes(passed=1, failed=1)
    (kept,) = postgresql_project.events("DatabaseKept")
    result.stdout.fnmatch_lines([f"kept {kept['name']} of *test_fails", f"*{kept['shell']}"])
    # The run is over, and its server still runs.
    with psycopg.connect(kept["url"].replace("+psycopg", "")) as connection:
        found = connection.execute('select name from "user"').fetchall()
    assert found == [("evidence",)]
    connection.close()
    # The next run stops it, and leaves the database in place.
    postgresql_project.run(tests="def test_it():\n    pass\n").assert_outcomes(passed=1)
    listed = postgresql_project.slipstream("db", "list")
    assert kept["name"] in listed
    monkeypatch.setenv("PATH", os.devnull)  # without psql, it is told how to reach it
    said = postgresql_project.slipstream(*shlex.split(kept["shell"])[1:])
    assert f" {kept['name']}" in said
    postgresql_project.slipstream("db", "stop")
