"""Scripts for SQLite are cut where SQLite says that a statement ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from pytest_slipstream.databases.engines.protocol import ScriptError
from pytest_slipstream.databases.engines.sqlite import scripts


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", []),
        ("  \n-- only a comment\n/* and another; */ ;;", []),
        ("SELECT 1", [(1, "SELECT 1")]),
        ("SELECT ';';\n\n SELECT 2;", [(1, "SELECT ';';"), (3, "SELECT 2;")]),
        ("-- why\nSELECT /* ; */ 1; SELECT 2", [(2, "SELECT /* ; */ 1;"), (2, "SELECT 2")]),
        (
            "CREATE TRIGGER t AFTER DELETE ON a BEGIN\nSELECT 1;\nSELECT 2;\nEND;\nSELECT 3;",
            [
                (1, "CREATE TRIGGER t AFTER DELETE ON a BEGIN\nSELECT 1;\nSELECT 2;\nEND;"),
                (5, "SELECT 3;"),
            ],
        ),
    ],
)
def test_statements_with_their_lines(sql: str, expected: list[tuple[int, str]]) -> None:
    assert list(scripts.statements(sql)) == expected


def test_a_transaction_that_is_not_ended_is_an_error() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with pytest.raises(ScriptError, match="a COMMIT is missing"):
            scripts.run(connection, "CREATE TABLE a (b);\nBEGIN;\nINSERT INTO a VALUES (1);")
        assert connection.execute("SELECT * FROM a").fetchall() == []
