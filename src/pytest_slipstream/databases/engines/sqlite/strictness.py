"""Builds the rules of `rules` into a template, as triggers that refuse a value before it is stored.

Triggers, because they are no part of a table: whoever inspects the schema (SQLAlchemy, Alembic's
autogenerate) finds the tables as the application declared them, and `INSERT OR IGNORE` cannot pass
over what they refuse. Each raises a constraint error that names table, column, type and, since
SQLite 3.47, the value.

The invariant: a template has all of its triggers, and no row that they would have refused, or it is
not published.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from pytest_slipstream.databases.engines.sqlite import collations, content
from pytest_slipstream.databases.engines.sqlite.content import quoted
from pytest_slipstream.databases.engines.sqlite.rules import RealEngine, Rule, rule
from pytest_slipstream.errors import TemplateError

TRIGGER_PREFIX = "slipstream_strict_"
NO_VALUE = "what was given"
"""Stands in a message for the value, where SQLite cannot put it there."""

COMPUTED_MESSAGES_SINCE = (3, 47)
SHOWN_CHARACTERS = 80
_ANYTHING = Rule("false", "a value")


class Check(msgspec.Struct, frozen=True):
    """What a column refuses; ``refused`` as in `Rule`."""

    table: str
    column: str
    refused: str
    message: str


def build(connection: sqlite3.Connection, database: str, real: RealEngine | None) -> None:
    """Make the triggers, after looking at the rows that are there.

    Args:
        connection: To the template that is being finished, in autocommit mode.
        database: The database's key in the configuration.
        real: The engine that SQLite stands for.

    Raises:
        TemplateError: The schema or the seed made rows that strict SQLite would refuse.
    """
    tables = _tables(connection)
    if real == "mysql":
        collations.ignore_case(connection, database, tables)
    for table in tables:
        checks = list(table_checks(connection, table, real))
        if not checks:
            continue
        if found := _first_refused(connection, table, checks):
            raise TemplateError(
                f"the template of the database {database!r} has a row that strict = true "
                f"refuses: {found}",
                hint="correct the value in the seed, or the column's type in the schema",
            )
        for trigger in triggers(table, checks, sqlite3.sqlite_version_info[:2]):
            connection.execute(trigger)
    _check_references(connection, database)


def _check_references(connection: sqlite3.Connection, database: str) -> None:
    try:
        dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.OperationalError as error:
        raise TemplateError(
            f"the template of the database {database!r} has a foreign key that no engine would "
            f"enforce: {error}",
            hint="make the columns that it refers to the primary key, or unique",
        ) from error
    if dangling is not None:
        table, rowid, parent, _ = dangling
        row = "a row" if rowid is None else f"the row {rowid}"
        raise TemplateError(
            f"the template of the database {database!r} has a row that strict = true refuses: "
            f"{row} of {table} refers to a row of {parent} that is not there",
            hint="insert the other row in the seed, too",
        )


def _tables(connection: sqlite3.Connection) -> list[str]:
    """The tables that somebody declared: not SQLite's own, no virtual ones nor their shadows."""
    found = [
        (name, sql)
        for kind, name, _, sql in content.objects(connection)
        if kind == "table" and not name.startswith("sqlite_")
    ]
    shadows = tuple(f"{name}_" for name, sql in found if content.is_virtual(sql))
    return [
        name
        for name, sql in found
        if not content.is_virtual(sql) and not (shadows and name.startswith(shadows))
    ]


def table_checks(
    connection: sqlite3.Connection, table: str, real: RealEngine | None
) -> Iterator[Check]:
    """What the columns of a table refuse; a generated one is made of others."""
    name = quoted(table)
    indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
    has_key_index = any(origin == "pk" for _, _, _, origin, _ in indexes)
    for _, column, declared, not_null, _, key, hidden in connection.execute(
        f"PRAGMA table_xinfo({name})"
    ).fetchall():
        if hidden or (key and not has_key_index):
            # INTEGER PRIMARY KEY: SQLite itself takes only whole numbers there, and its type is
            # written so whatever the real engine's is.
            continue
        found = rule(declared, real) or _ANYTHING
        if key and not not_null:
            found = Rule(f"{{v}} IS NULL OR ({found.refused})", f"{found.takes} (never NULL)")
        if found is not _ANYTHING:
            told = f"{table}.{column} is {declared or 'without a type'} and takes {found.takes}"
            yield Check(table, column, found.refused, f"{told}, not ")


def triggers(table: str, checks: list[Check], version: tuple[int, ...]) -> Iterator[str]:
    """The statements that make a table's triggers.

    Args:
        table: Its name.
        checks: Not empty.
        version: SQLite's.
    """
    raising = " ".join(_raise(check, version) for check in checks)
    columns = ", ".join(dict.fromkeys(quoted(check.column) for check in checks))
    for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {columns}")):
        yield (
            f"CREATE TRIGGER {quoted(f'{TRIGGER_PREFIX}{event}_{table}')} BEFORE {when} "
            f"ON {quoted(table)} BEGIN SELECT CASE {raising} END; END"
        )


def _raise(check: Check, version: tuple[int, ...]) -> str:
    if version >= COMPUTED_MESSAGES_SINCE:
        return f"WHEN {_refused(check)} THEN RAISE(ABORT, {_message(check)})"
    # `likely` gives back its argument; the application's connections remember it (`connections`).
    value = f"typeof(likely(new.{quoted(check.column)})) <> ''"
    message = _literal(check.message + NO_VALUE)
    return f"WHEN ({_refused(check)}) AND {value} THEN RAISE(ABORT, {message})"


def _refused(check: Check) -> str:
    return check.refused.format(v=f"new.{quoted(check.column)}")


def _message(check: Check) -> str:
    """The message with the value, as an SQL expression."""
    value = f"substr(quote(new.{quoted(check.column)}), 1, {SHOWN_CHARACTERS})"
    return f"{_literal(check.message)} || {value}"


def _first_refused(connection: sqlite3.Connection, table: str, checks: list[Check]) -> str | None:
    cases = " ".join(f"WHEN {_refused(check)} THEN {_message(check)}" for check in checks)
    row = connection.execute(
        f"SELECT CASE {cases} END AS found FROM {quoted(table)} AS new "
        "WHERE found IS NOT NULL LIMIT 1"
    ).fetchone()
    return str(row[0]) if row else None


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
