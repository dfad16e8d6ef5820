"""The triggers, on the SQLite of this Python and on one that computes their messages itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import apsw
import pytest

from pytest_slipstream.databases.engines.sqlite import strictness
from pytest_slipstream.errors import TemplateError


def message(connection: Any, error: type[Exception], version: str, value: object) -> str:
    """What a table with triggers for this version of SQLite says."""
    with closing(connection):
        connection.execute('CREATE TABLE "it\'s" ("a \'b" VARCHAR(3))')
        checks = list(strictness.table_checks(connection, "it's", None))
        numbers = tuple(int(number) for number in version.split("."))
        for trigger in strictness.triggers("it's", checks, numbers):
            connection.execute(trigger)
        with pytest.raises(error) as caught:
            connection.execute('INSERT INTO "it\'s" VALUES (?)', (value,))
    return str(caught.value)


TOLD = "it's.a 'b is VARCHAR(3) and takes a text of at most 3 characters, not "


def test_a_message_without_the_value():
    connection = sqlite3.connect(":memory:")
    assert message(connection, sqlite3.IntegrityError, "3.46.1", "a'bc") == TOLD + "what was given"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a'bc", "'a''bc'"), (b"\0\1", "X'0001'"), ("x" * 1000, "'" + "x" * 79)],
)
def test_a_message_with_the_value(value: object, shown: str):
    connection = apsw.Connection(":memory:")  # which has a SQLite of its own
    said = message(connection, apsw.ConstraintError, apsw.sqlite_lib_version(), value)
    assert said.endswith(TOLD + shown)


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


def test_a_foreign_key_to_columns_that_are_not_unique():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript("""
            CREATE TABLE parent (code INTEGER);
            CREATE TABLE child (code INTEGER REFERENCES parent (code));
        """)
        with pytest.raises(TemplateError, match="no engine would enforce: foreign key mismatch"):
            strictness.build(connection, "main", None)
