"""Makes the text columns of a finished schema compare without regard to case, as MySQL does.

SQLite cannot alter a column, so the text of ``CREATE TABLE`` is edited in the catalogue, as
https://www.sqlite.org/lang_altertable.html (section 7) allows, and the indexes are made anew.

The invariant: a column that names a collation keeps it, and so does the key of a table WITHOUT
ROWID, which is no index that could be made anew.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator

from pytest_slipstream.databases.engines.sqlite.content import quoted
from pytest_slipstream.errors import TemplateError

# A quoted name or text, a comment, a bracket or a comma; else a word or any other character.
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^]]*\]
      | --[^\n]* | /\*.*?\*/ | [(),] | \w+ | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)
_TABLE_CONSTRAINTS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
_COLLATE = " COLLATE NOCASE"


def ignore_case(connection: sqlite3.Connection, database: str, tables: Iterable[str]) -> None:
    """Give every text column of ``tables`` the collation NOCASE.

    Args:
        connection: To a template that is being finished, in autocommit mode. Its schema is read
            again only by the next connection.
        database: The database's key in the configuration.
        tables: Their names.

    Raises:
        TemplateError: Rows that differ only in case are in a unique column.
    """
    connection.execute("PRAGMA writable_schema = ON")
    for table in tables:
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        ).fetchone()
        edited = with_collation(sql, _text_columns(connection, table))
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (edited, table)
        )
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = RESET")
    try:
        connection.execute("REINDEX")
    except sqlite3.IntegrityError as error:
        raise TemplateError(
            f"the template of the database {database!r} has rows that are equal where case does "
            f"not count, as in MySQL: {error}",
            hint="correct the seed, or give the column a collation of its own",
        ) from error


def with_collation(sql: str, columns: Iterable[str]) -> str:
    """A ``CREATE TABLE`` with the collation in the definitions of ``columns`` that have none."""
    wanted = {column.lower() for column in columns}
    edited, position = [], 0
    for start, end in _definitions(sql):
        words = [
            token
            for token in _TOKEN.findall(sql[start:end])
            if not token.isspace() and not token.startswith(("--", "/*"))
        ]
        named = words[0].upper() not in _TABLE_CONSTRAINTS and _unquoted(words[0]).lower() in wanted
        if named and "COLLATE" not in (word.upper() for word in words):
            edited.append(sql[position:end] + _COLLATE)
            position = end
    return "".join(edited) + sql[position:]


def _definitions(sql: str) -> Iterator[tuple[int, int]]:
    """Where in a ``CREATE TABLE`` each column or constraint begins and ends, comments apart."""
    depth, start, end = 0, 0, 0
    for found in _TOKEN.finditer(sql):
        token = found[0]
        if token == "(":
            depth += 1
            if depth == 1:
                start = end = found.end()
                continue
        elif token == ")":
            depth -= 1
        if (token, depth) in ((")", 0), (",", 1)):
            yield start, end
            start = end = found.end()
            if depth == 0:
                return
        elif not token.isspace() and not token.startswith(("--", "/*")):
            end = found.end()


def _unquoted(name: str) -> str:
    if name[0] == "[":
        return name[1:-1]
    if name[0] in "\"'`":
        return name[1:-1].replace(name[0] * 2, name[0])
    return name


def _text_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of text, by SQLite's rule of affinity: https://www.sqlite.org/datatype3.html."""
    rows = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    fixed = _is_without_rowid(connection, table)
    return [
        column
        for _, column, declared, _, _, key, _ in rows
        if re.search("CHAR|CLOB|TEXT", declared, re.IGNORECASE)
        and not re.search("INT", declared, re.IGNORECASE)
        and not (key and fixed)
    ]


def _is_without_rowid(connection: sqlite3.Connection, table: str) -> bool:
    for rowid in ("rowid", "_rowid_", "oid"):
        try:
            connection.execute(f"SELECT {rowid} FROM {quoted(table)} LIMIT 0")
        except sqlite3.OperationalError:
            continue
        return False
    return True
