"""Runs a text of SQL statements, each on its own, so that an error can name its statement and line.

The invariant: a script that failed says where; one that did not fail left no transaction open.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from pytest_slipstream.databases.engines.protocol import ScriptError

# White space, line comments and block comments: what may stand before a statement.
_BLANK = re.compile(r"(?:\s|;|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))*", re.DOTALL)


def run(connection: sqlite3.Connection, sql: str) -> None:
    """Run the statements in order.

    Args:
        connection: In autocommit mode, so that the script's own BEGIN and COMMIT count.
        sql: The script.

    Raises:
        ScriptError: A statement failed, or the last transaction was not ended.
    """
    line, statement = 1, ""
    for line, statement in statements(sql):
        try:
            connection.execute(statement).fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise ScriptError(str(error), line=line, statement=statement) from error
    if connection.in_transaction:
        connection.rollback()
        message = "the script ends inside a transaction: a COMMIT is missing"
        raise ScriptError(message, line=line, statement=statement)


def statements(sql: str) -> Iterator[tuple[int, str]]:
    """The statements of a script, each with its first line (from 1)."""
    start = _after_blank(sql, 0)
    while start < len(sql):
        end = _end_of_statement(sql, start)
        yield sql.count("\n", 0, start) + 1, sql[start:end].strip()
        start = _after_blank(sql, end)


def _after_blank(sql: str, position: int) -> int:
    found = _BLANK.match(sql, position)
    return found.end() if found else position


def _end_of_statement(sql: str, start: int) -> int:
    """Where SQLite itself says that the statement is complete: a trigger holds semicolons too."""
    end = sql.find(";", start)
    while end >= 0:
        if sqlite3.complete_statement(sql[start : end + 1]):
            return end + 1
        end = sql.find(";", end + 1)
    return len(sql)
