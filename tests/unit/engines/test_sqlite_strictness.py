"""The triggers, on the SQLite of this Python and on one that computes their messages itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from pytest_slipstream.databases.engines.sqlite import strictness


def message(module: Any, value: object) -> str:
    """What a table with triggers for this module's SQLite says."""
    with closing(module.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE "it\'s" ("a \'b" VARCHAR(3))')
        checks = list(strictness.table_checks(connection, "it's", None))
        for trigger in strictness.triggers("it's", checks, module.sqlite_version_info[:2]):
            connection.execute(trigger)
        with pytest.raises(module.IntegrityError) as caught:
            connection.execute('INSERT INTO "it\'s" VALUES (?)', (value,))
    return str(caught.value)


def test_a_message_without_the_value():
    if sqlite3.sqlite_version_info >= strictness.COMPUTED_MESSAGES_SINCE:
        pytest.skip("this SQLite knows the value")
    assert message(sqlite3, "a'bc") == (
        "it's.a 'b is VARCHAR(3) and takes a text of at most 3 characters, not what was given"
    )


def test_a_message_with_the_value():
    newer = pytest.importorskip("pysqlite3")
    told = "it's.a 'b is VARCHAR(3) and takes a text of at most 3 characters, not "
    assert message(newer, "a'bc") == told + "'a''bc'"
    assert message(newer, b"\0\1") == told + "X'0001'"
    assert message(newer, "x" * 1000) == told + "'" + "x" * 79


def test_tables_that_are_not_checked():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript("""
            CREATE TABLE plain (id INTEGER PRIMARY KEY, x, y POINT, z INT AS (x) VIRTUAL);
            CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT);
            CREATE VIRTUAL TABLE words USING fts5(text);
            CREATE VIEW v AS SELECT * FROM plain;
        """)
        strictness.build(connection, "main", None)
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert found.fetchall() == []
