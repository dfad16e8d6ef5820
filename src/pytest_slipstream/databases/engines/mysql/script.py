"""SQL scripts: taken apart into statements as the ``mysql`` client does, and run one by one.

The invariant: what is sent is the script's own text, and an error names the statement's line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pymysql

from pytest_slipstream.databases.engines.mysql import sessions
from pytest_slipstream.databases.engines.protocol import Address, ScriptError

# MySQL manual, "Comments" and "String Literals". The server executes what stands in /*! … */.
_TOKEN = r"""
    (?P<comment> \#[^\n]* | --(?=\s|\Z)[^\n]* | /\*.*?\*/ )
  | (?P<text> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*` )
  | (?P<open> ['"`] | /\* )
  | (?P<delimiter> {delimiter} )
"""
_CLIENT = re.compile(r"(delimiter|source|use|\\[a-z.!])(?=\s|;|\Z)[ \t]*([^\n]*)", re.IGNORECASE)
_SPACE = re.compile(r"(?:\s+|\#[^\n]*|--(?=\s|\Z)[^\n]*|/\*(?![!M]).*?\*/)+", re.DOTALL)
_IN_TRANSACTION = 1


class Statement(msgspec.Struct, frozen=True):
    """One statement and the line on which it starts."""

    text: str
    line: int


def split(script: str) -> Iterator[Statement]:
    """The statements of a script, in order.

    Raises:
        ScriptError: A command of the client's that would leave the database, or a quote or comment
            that does not end.
    """
    delimiter = ";"
    token = _compiled(delimiter)
    start = position = _after_space(script, 0)
    while position < len(script):
        command = _CLIENT.match(script, position) if position == start else None
        if command is not None:
            if command[1].lower() != "delimiter":
                raise _refused(script, start, command[1])
            delimiter = command[2].strip() or ";"
            token = _compiled(delimiter)
            start = position = _after_space(script, command.end())
            continue
        found = token.search(script, position)
        if found is None:
            break
        position = found.end()
        if found.lastgroup == "open":
            raise _unfinished(script, found.start(), found.group())
        if found.lastgroup == "delimiter":
            if script[start : found.start()].strip():
                yield _statement(script, start, found.start())
            start = position = _after_space(script, position)
    if script[start:].strip():
        yield _statement(script, start, len(script))


def run(address: Address, script: str) -> None:
    """Run the statements of a script, each in its own transaction unless it says otherwise.

    Raises:
        ScriptError: A statement failed, or the script ends within a transaction.
    """
    last = Statement("", 1)
    connection = sessions.connect(address)
    try:
        connection.autocommit(True)
        for statement in split(script):
            last = statement
            _run(connection, statement)
        if connection.server_status & _IN_TRANSACTION:
            raise ScriptError(
                "the script ends within a transaction, without COMMIT",
                line=last.line,
                statement=last.text,
            )
    finally:
        connection.close()


def _run(connection: pymysql.Connection[pymysql.cursors.Cursor], statement: Statement) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement.text)
            while cursor.nextset():
                pass
    except pymysql.err.MySQLError as error:
        raise ScriptError(
            sessions.text(error), line=statement.line, statement=statement.text
        ) from error


def _compiled(delimiter: str) -> re.Pattern[str]:
    pattern = _TOKEN.format(delimiter=re.escape(delimiter))
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


def _after_space(script: str, position: int) -> int:
    found = _SPACE.match(script, position)
    return found.end() if found else position


def _statement(script: str, start: int, end: int) -> Statement:
    return Statement(script[start:end].rstrip(), script.count("\n", 0, start) + 1)


def _unfinished(script: str, start: int, quote: str) -> ScriptError:
    return ScriptError(
        f"the {'comment' if quote == '/*' else f'quote {quote}'} that starts here does not end",
        line=script.count("\n", 0, start) + 1,
        statement=script[start : start + 80],
    )


def _refused(script: str, start: int, command: str) -> ScriptError:
    return ScriptError(
        f"{command} is refused: a script makes the one database that it is run in",
        line=script.count("\n", 0, start) + 1,
        statement=script[start:].partition("\n")[0],
    )
