"""``CREATE TABLE`` edited as text, however it was written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pytest_slipstream.databases.engines.sqlite import collations
from pytest_slipstream.databases.engines.sqlite.collations import with_collation
from pytest_slipstream.errors import TemplateError


@pytest.mark.parametrize(
    ("sql", "columns", "expected"),
    [
        (
            "CREATE TABLE t (id INTEGER, name TEXT)",
            ["name"],
            "CREATE TABLE t (id INTEGER, name TEXT COLLATE NOCASE)",
        ),
        (
            "CREATE TABLE t(a VARCHAR(3) NOT NULL UNIQUE,b TEXT) STRICT, WITHOUT ROWID",
            ["A", "b"],
            "CREATE TABLE t(a VARCHAR(3) NOT NULL UNIQUE COLLATE NOCASE,b TEXT COLLATE NOCASE) "
            "STRICT, WITHOUT ROWID",
        ),
        ("CREATE TABLE t (a TEXT collate BINARY)", ["a"], "CREATE TABLE t (a TEXT collate BINARY)"),
        (
            "CREATE TABLE t (a TEXT -- one, (\n, b TEXT /* two) */ )",
            ["a", "b"],
            "CREATE TABLE t (a TEXT COLLATE NOCASE -- one, (\n, b TEXT COLLATE NOCASE /* two) */ )",
        ),
        (
            """CREATE TABLE "t (" ("a ""," TEXT DEFAULT 'it''s, (', [b c] TEXT, `d``` TEXT)""",
            ['a ",', "b c", "d`"],
            """CREATE TABLE "t (" ("a ""," TEXT DEFAULT 'it''s, (' COLLATE NOCASE, """
            "[b c] TEXT COLLATE NOCASE, `d``` TEXT COLLATE NOCASE)",
        ),
        (
            "CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')), UNIQUE (a), CONSTRAINT a CHECK (a))",
            ["a", "unique", "constraint"],
            "CREATE TABLE t (a TEXT CHECK (a IN ('x', 'y')) COLLATE NOCASE, UNIQUE (a), "
            "CONSTRAINT a CHECK (a))",
        ),
        (
            'CREATE TABLE t (x TEXT, "unique" TEXT)',
            ["unique"],
            'CREATE TABLE t (x TEXT, "unique" TEXT COLLATE NOCASE)',
        ),
    ],
)
def test_the_collation_is_the_last_word_of_a_column(sql: str, columns: list[str], expected: str):
    assert with_collation(sql, columns) == expected


def ignoring_case(path: Path, script: str, *tables: str) -> sqlite3.Connection:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)
        collations.ignore_case(connection, "main", tables)
    return sqlite3.connect(path)


def test_indexes_are_ordered_anew(tmp_path: Path):
    script = """
        CREATE TABLE words (word TEXT UNIQUE, other VARCHAR(9) COLLATE BINARY, number INTEGER);
        CREATE INDEX others ON words (other, word);
        CREATE TABLE keys (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
        CREATE INDEX by_value ON keys (value);
        INSERT INTO words VALUES ('b', 'b', 1), ('A', 'A', 2), ('c', 'c', 3), ('B2', 'B', 4);
        INSERT INTO keys VALUES ('b', 'b'), ('A', 'A'), ('B', 'a');
    """
    with closing(ignoring_case(tmp_path / "db", script, "words", "keys")) as connection:

        def ask(sql: str) -> list[object]:
            return [row[0] for row in connection.execute(sql)]

        assert ask("PRAGMA integrity_check") == ["ok"]
        assert ask("SELECT number FROM words WHERE word = 'B'") == [1]
        assert ask("SELECT word FROM words ORDER BY word") == ["A", "b", "B2", "c"]
        assert ask("SELECT number FROM words WHERE other = 'B'") == [4]
        assert ask("SELECT value FROM keys WHERE value = 'a' ORDER BY key") == ["A", "a"]
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO words (word) VALUES ('a')")


def test_rows_that_become_equal(tmp_path: Path):
    script = """
        CREATE TABLE words (word TEXT UNIQUE);
        INSERT INTO words VALUES ('a'), ('A');
    """
    with pytest.raises(TemplateError, match=r"equal where case does not count.*words\.word"):
        ignoring_case(tmp_path / "db", script, "words")
