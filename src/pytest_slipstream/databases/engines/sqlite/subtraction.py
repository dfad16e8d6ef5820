"""Takes a layer out from under another, row by row.

A slot is put back page by page, but the pages of an upper layer hold the rows of the lower one too.
The invariant: what the removed layer changed against what lies below it is changed back; what the
upper layer changed itself stays, also where both changed the same row. Definitions that both
changed are again as they were below.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgspec

from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.engines.sqlite.content import quoted
from pytest_slipstream.databases.engines.sqlite.layers import Layer

_ROWID_NAMES = ("rowid", "_rowid_", "oid")
_SEQUENCES = "sqlite_sequence"
_FULL_TEXT = re.compile(r"CREATE VIRTUAL TABLE .*? USING +fts[345]\b", re.IGNORECASE | re.DOTALL)
# What needs another object to be there comes after it.
_ORDER = ("table", "index", "view", "trigger")


class Definition(msgspec.Struct, frozen=True):
    """An object of the catalogue."""

    kind: str
    name: str
    sql: str


Catalogue = dict[str, Definition]
"""By name: SQLite's objects share one name space."""


def take_out(removed: Layer, below: Layer, above: Layer, path: Path) -> Layer:
    """Write what ``above`` is without ``removed``.

    Args:
        removed: The layer that goes.
        below: What it lies on.
        above: A layer that lies on it.
        path: Where the result is written.
    """
    pages.write_file(above.connection, path)
    uri = f"file:{quote(str(path))}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for schema, layer in (("removed", removed), ("below", below), ("above", above)):
            attached = f"file:{quote(str(layer.path))}?immutable=1"
            connection.execute(f"ATTACH ? AS {schema}", (attached,))
        connection.execute("BEGIN")
        _undo(connection)
        connection.execute("COMMIT")
    return Layer(path)


def _undo(connection: sqlite3.Connection) -> None:
    was, had = _catalogue(connection, "below"), _catalogue(connection, "removed")
    now = _catalogue(connection, "main")
    changed = {name for name in was.keys() | had.keys() if was.get(name) != had.get(name)}
    wanted = {name: each for name, each in now.items() if name not in changed}
    wanted |= {name: was[name] for name in changed & was.keys()}
    sequences = _sequences_without(connection)

    # No trigger may fire, and a table whose definition changed is filled again.
    for each in sorted(now.values(), key=_dropped_first):
        if each.kind == "trigger" or wanted.get(each.name) != each:
            _drop(connection, each)
    for each in sorted(wanted.values(), key=_created_first):
        if each.kind == "table":
            is_new = _create(connection, each)
            _undo_rows(connection, each.name, is_new=is_new)
    _index_words(connection, wanted)
    for each in sorted(wanted.values(), key=_created_first):
        _create(connection, each)
    if sequences is not None:
        connection.execute(f"DELETE FROM main.{_SEQUENCES}")
        connection.executemany(f"INSERT INTO main.{_SEQUENCES} VALUES (?, ?)", sequences.items())
    for field in content.HEADER_FIELDS:
        if _pragma(connection, "below", field) != _pragma(connection, "removed", field):
            value = _pragma(connection, "below", field)
            connection.execute(f"PRAGMA main.{field} = {value}")


def _catalogue(connection: sqlite3.Connection, schema: str) -> Catalogue:
    """The objects that somebody defined; not what SQLite makes for itself."""
    rows = connection.execute(
        f"SELECT type, name, sql FROM {schema}.sqlite_master "
        "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"
    )
    return {row[1]: Definition(*row) for row in rows}


def _dropped_first(definition: Definition) -> tuple[int, bool]:
    """Dependents before tables; a virtual table before its shadow tables, which go with it."""
    return -_ORDER.index(definition.kind), not content.is_virtual(definition.sql)


def _created_first(definition: Definition) -> tuple[int, bool]:
    """Tables before what depends on them; a virtual table makes its shadow tables itself."""
    return _ORDER.index(definition.kind), not content.is_virtual(definition.sql)


def _drop(connection: sqlite3.Connection, definition: Definition) -> None:
    connection.execute(f"DROP {definition.kind} IF EXISTS main.{quoted(definition.name)}")


def _create(connection: sqlite3.Connection, definition: Definition) -> bool:
    """Make it, and say so, if it is not there."""
    if _exists(connection, "main", definition.name):
        return False
    connection.execute(definition.sql)
    return True


def _exists(connection: sqlite3.Connection, schema: str, name: str) -> bool:
    found = connection.execute(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = ?", (name,))
    return found.fetchone() is not None


def _undo_rows(connection: sqlite3.Connection, table: str, *, is_new: bool) -> None:
    """Change back the rows that ``removed`` changed and ``above`` did not.

    Args:
        connection: With the three layers attached.
        table: Not its quoted name.
        is_new: Whether it is empty, because its definition was changed back.
    """
    if content.is_virtual(_catalogue(connection, "main")[table].sql):
        return
    name, (key, columns) = quoted(table), _columns(connection, table)
    names = ", ".join(columns)
    comparable = {
        schema
        for schema in ("removed", "below", "above")
        if _exists(connection, schema, table) and _columns(connection, table, schema)[1] == columns
    }
    if is_new and "above" in comparable:
        connection.execute(
            f"INSERT OR IGNORE INTO main.{name} ({names}) SELECT {names} FROM above.{name}"
        )
    same = partial(_row_exists, name, key)
    if "removed" in comparable:
        kept = f"AND NOT {same('below', 'a', columns)}" if "below" in comparable else ""
        connection.execute(
            f"DELETE FROM main.{name} AS a WHERE {same('removed', 'a', columns)} {kept}"
        )
    if "below" not in comparable:
        return
    changed = "true"
    if {"removed", "above"} <= comparable:
        unchanged_above = same("removed", "a", (), f"AND {same('above', 'in_removed', columns)}")
        changed = (
            f"NOT {same('removed', 'a', columns)} "
            f"AND (NOT {same('removed', 'a', ())} OR {unchanged_above})"
        )
    connection.execute(
        f"INSERT OR IGNORE INTO main.{name} ({names}) "
        f"SELECT {names} FROM below.{name} AS a WHERE {changed}"
    )


def _row_exists(
    name: str, key: Sequence[str], schema: str, row: str, columns: Sequence[str], more: str = ""
) -> str:
    """That ``schema`` has a row of ``row``'s key and, by `quote`, of its ``columns``.

    `quote` tells 1, 1.0 and '1' apart.
    """
    alias = f"in_{schema}"
    conditions = [f"{alias}.{column} = {row}.{column}" for column in key]
    conditions += [f"quote({alias}.{column}) = quote({row}.{column})" for column in columns]
    return (
        f"EXISTS (SELECT 1 FROM {schema}.{name} AS {alias} WHERE {' AND '.join(conditions)} {more})"
    )


def _index_words(connection: sqlite3.Connection, wanted: Catalogue) -> None:
    """Make full-text indexes anew: their shadow tables cannot be put together row by row."""
    for each in wanted.values():
        if each.kind == "table" and _FULL_TEXT.match(each.sql):
            name = quoted(each.name)
            with suppress(sqlite3.Error):  # one that keeps no texts has nothing to be made from
                connection.execute(f"INSERT INTO main.{name} ({name}) VALUES ('rebuild')")


def _columns(
    connection: sqlite3.Connection, table: str, schema: str = "main"
) -> tuple[list[str], list[str]]:
    """The columns that tell rows apart, and all that can be inserted."""
    rows = connection.execute(f"PRAGMA {schema}.table_xinfo({quoted(table)})").fetchall()
    names = {row[1].lower() for row in rows}
    # hidden: 2 and 3 are generated columns
    stored = [(row[5], quoted(row[1])) for row in rows if row[6] not in (2, 3)]
    for rowid in _ROWID_NAMES:
        if rowid not in names and _has_rowid(connection, table, schema):
            return [rowid], [rowid, *(column for _, column in stored)]
    key = [column for place, column in sorted(stored) if place]
    return key or [column for _, column in stored], [column for _, column in stored]


def _has_rowid(connection: sqlite3.Connection, table: str, schema: str) -> bool:
    try:
        connection.execute(f"SELECT rowid FROM {schema}.{quoted(table)} LIMIT 0")
    except sqlite3.OperationalError:
        return False
    return True


def _sequences_without(connection: sqlite3.Connection) -> dict[str, int] | None:
    """AUTOINCREMENT's counters; one that only ``removed`` advanced goes back. None: there are none.

    One that was advanced further stays: its numbers are in the rows of the upper layer.
    """
    if not _exists(connection, "main", _SEQUENCES):
        return None
    was, had, now = (
        dict(connection.execute(f"SELECT name, seq FROM {schema}.{_SEQUENCES}").fetchall())
        if _exists(connection, schema, _SEQUENCES)
        else {}
        for schema in ("below", "removed", "main")
    )
    wanted = {name: (was.get(name) if seq == had.get(name) else seq) for name, seq in now.items()}
    wanted |= {name: seq for name, seq in was.items() if name not in now and name not in had}
    return {name: seq for name, seq in wanted.items() if seq is not None}


def _pragma(connection: sqlite3.Connection, schema: str, field: str) -> int:
    value: int = connection.execute(f"PRAGMA {schema}.{field}").fetchone()[0]
    return value
