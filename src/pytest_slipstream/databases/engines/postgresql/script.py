"""SQL scripts: taken apart into statements as psql does, and run one by one.

The invariant: what is sent is the script's own text, and an error names the statement's line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import psycopg
from psycopg.pq import TransactionStatus

from pytest_slipstream.databases.engines.postgresql import connections
from pytest_slipstream.databases.engines.protocol import Address, ScriptError

# PostgreSQL manual, 4.1 Lexical Structure.
_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* )
  | (?P<block> /\* )
  | (?P<text> \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" )
  | (?P<dollar> (?<![\w$])\$(?P<tag>(?:[A-Za-z_\x80-\uffff][\w]*)?)\$ )
  | (?P<word> [A-Za-z_\x80-\uffff][\w$]* )
  | (?P<meta> ^[ \t]*\\[^\n]* )
  | (?P<mark> [();] )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_BLOCK = re.compile(r"/\*|\*/")
_ROUTINE = re.compile(r"\s*create\s+(or\s+replace\s+)?(function|procedure)\b", re.IGNORECASE)
_COPY = re.compile(r"\s*copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_IGNORED_META = ("\\restrict", "\\unrestrict")


class Statement(msgspec.Struct, frozen=True):
    """One statement, the line on which it starts, and what COPY … FROM stdin reads."""

    text: str
    line: int
    data: str | None = None


def split(script: str) -> Iterator[Statement]:
    """The statements of a script, in order.

    Raises:
        ScriptError: A psql command stands among them, or a quote or comment does not end.
    """
    start = position = depth = body = 0
    previous = ""
    while (found := _TOKEN.search(script, position)) is not None:
        position = found.end()
        kind, token = found.lastgroup, found.group()
        if kind == "tag" or kind == "dollar":
            position = _after(script, found.start(), position, token)
        elif kind == "block":
            position = _after_comment(script, found.start(), position)
        elif kind == "meta" and not _code(script[start : found.start()]):
            _refuse_meta(script, found.start(), token.strip())
            start = position
        elif kind == "word":
            word = token.lower()
            is_atomic = word == "atomic" and previous == "begin" and _is_routine(script[start:])
            body += _deeper(word, is_atomic=is_atomic, within=body > 0)
            previous = word
        elif token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif token == ";" and depth <= 0 and not body:
            text = script[start : found.start()]
            data = None
            if _COPY.match(_code(text)):
                data, position = _copy_data(script, position)
            if _code(text):
                yield _statement(script, start, text, data)
            start, depth = position, 0
    if _code(script[start:]):
        yield _statement(script, start, script[start:], None)


def _deeper(word: str, *, is_atomic: bool, within: bool) -> int:
    """BEGIN ATOMIC … END holds statements of its own, and CASE … END may stand in it."""
    if is_atomic or (word == "case" and within):
        return 1
    return -1 if word == "end" and within else 0


def run(address: Address, script: str) -> None:
    """Run the statements of a script, each in its own transaction unless it says otherwise.

    Raises:
        ScriptError: A statement failed, or the script ends within a transaction.
    """
    last = Statement("", 1)
    with connections.connect(address, autocommit=True) as connection:
        for statement in split(script):
            last = statement
            try:
                _run(connection, statement)
            except psycopg.Error as error:
                raise ScriptError(
                    str(error).strip(),
                    line=statement.line,
                    statement=statement.text,
                ) from error
        if connection.info.transaction_status != TransactionStatus.IDLE:
            raise ScriptError(
                "the script ends within a transaction, without COMMIT",
                line=last.line,
                statement=last.text,
            )


def _run(connection: connections.Connection, statement: Statement) -> None:
    text = statement.text.encode()
    if statement.data is None:
        connection.execute(text)
        return
    with connection.cursor() as cursor, cursor.copy(text) as copy:
        copy.write(statement.data)


def _statement(script: str, start: int, text: str, data: str | None) -> Statement:
    skipped = len(text) - len(_from_code(text))
    line = script.count("\n", 0, start + skipped) + 1
    return Statement(text[skipped:].rstrip(), line, data)


def _code(text: str) -> str:
    return _from_code(text).strip()


def _from_code(text: str) -> str:
    """``text`` without the white space and comments that it starts with."""
    while True:
        text = text.lstrip()
        if text.startswith("--"):
            text = text.partition("\n")[2]
        elif text.startswith("/*"):
            text = text[_after_comment(text, 0, 2) :]
        else:
            return text


def _is_routine(text: str) -> bool:
    return _ROUTINE.match(_from_code(text)) is not None


def _after(script: str, start: int, position: int, quote: str) -> int:
    end = script.find(quote, position)
    if end < 0:
        raise _unfinished(script, start, f"the quote {quote}")
    return end + len(quote)


def _after_comment(script: str, start: int, position: int) -> int:
    depth = 1
    while depth:
        found = _BLOCK.search(script, position)
        if found is None:
            raise _unfinished(script, start, "the comment")
        depth += 1 if found.group() == "/*" else -1
        position = found.end()
    return position


def _unfinished(script: str, start: int, what: str) -> ScriptError:
    line = script.count("\n", 0, start) + 1
    return ScriptError(
        f"{what} that starts here does not end", line=line, statement=script[start : start + 80]
    )


def _refuse_meta(script: str, start: int, command: str) -> None:
    if command.split()[0] in _IGNORED_META:
        return
    raise ScriptError(
        f"{command.split()[0]} is a command of psql, not SQL",
        line=script.count("\n", 0, start) + 1,
        statement=command,
    )


def _copy_data(script: str, position: int) -> tuple[str, int]:
    """The lines after a COPY … FROM stdin up to ``\\.``, and where the script goes on."""
    begin = script.find("\n", position) + 1 or len(script)
    end = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE).search(script, begin)
    if end is None:
        return script[begin:], len(script)
    return script[begin : end.start()], end.end()
