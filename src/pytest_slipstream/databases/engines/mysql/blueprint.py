"""What a database is made of, as statements that make it again under another name.

MySQL has no CREATE DATABASE … TEMPLATE. The invariant: two databases are defined alike if and only
if their blueprints are equal; a database's own name never occurs in its blueprint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from pytest_slipstream.databases.engines.mysql.sessions import (
    REGISTRY,
    Row,
    Session,
    literal,
    quoted,
)

TableKind = Literal["table", "versioned", "sequence"]
_KINDS: Mapping[str, TableKind] = {
    "BASE TABLE": "table",
    "SYSTEM VERSIONED": "versioned",
    "SEQUENCE": "sequence",
}
_OWN = "slipstream_this_database"
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json")
_INEXACT = ("float", "double")
POSITION = re.compile(r"^(\) .*?) AUTO_INCREMENT=\d+", re.MULTILINE)

_TABLES = """
SELECT table_name, table_type, coalesce(engine, ''), auto_increment
FROM information_schema.tables WHERE table_schema = %s ORDER BY table_name
"""
_COLUMNS = """
SELECT table_name, column_name, data_type, extra
FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position
"""
_KEYS = """
SELECT table_name, column_name, sub_part
FROM information_schema.statistics
WHERE table_schema = %s AND index_name = 'PRIMARY' ORDER BY table_name, seq_in_index
"""
_CASCADES = """
SELECT referenced_table_name, table_name FROM information_schema.referential_constraints
WHERE constraint_schema = %s AND unique_constraint_schema = constraint_schema
  AND NOT (delete_rule IN ('RESTRICT', 'NO ACTION') AND update_rule IN ('RESTRICT', 'NO ACTION'))
"""
_LIBRARIES = """
SELECT library_name FROM information_schema.libraries WHERE library_schema = %s
ORDER BY library_name
"""
_WITH_LIBRARIES = (9, 2)
_OTHERS = (
    (
        "routine",
        "SELECT routine_name, routine_type, '' FROM information_schema.routines "
        "WHERE routine_schema = %s ORDER BY routine_type, routine_name",
    ),
    (
        "trigger",
        "SELECT trigger_name, 'TRIGGER', event_object_table FROM information_schema.triggers "
        "WHERE trigger_schema = %s "
        "ORDER BY event_object_table, event_manipulation, action_timing, action_order",
    ),
    (
        "event",
        "SELECT event_name, 'EVENT', '' FROM information_schema.events "
        "WHERE event_schema = %s ORDER BY event_name",
    ),
)


class Column(msgspec.Struct, frozen=True):
    """A column whose values are stored and can be written."""

    name: str
    data_type: str

    def same(self, one: str, other: str) -> str:
        """The condition that two rows have the very same value, not only an equal one."""
        left, right = f"{one}.{quoted(self.name)}", f"{other}.{quoted(self.name)}"
        if self.data_type in _TEXTS:
            left, right = f"CAST({left} AS BINARY)", f"CAST({right} AS BINARY)"
        return f"{left} <=> {right}"

    @property
    def exact(self) -> str:
        """The value as a text that no other value has."""
        name = quoted(self.name)
        return f"{name} + 0e0" if self.data_type in _INEXACT else f"CAST({name} AS BINARY)"


class Table(msgspec.Struct, frozen=True):
    """A table or a sequence.

    ``cascades_to``: tables that its foreign keys' actions write to. ``counts``: whether it has an
    AUTO_INCREMENT column.
    """

    name: str
    kind: TableKind
    engine: str
    create: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    cascades_to: tuple[str, ...] = ()
    counts: bool = False

    @property
    def is_transactional(self) -> bool:
        """Whether it is InnoDB's, whose counters tell of every change."""
        return self.engine == "InnoDB" and self.kind != "sequence"

    def created(self, position: int) -> str:
        """The statement with the next AUTO_INCREMENT value; 0 for a table without one."""
        if not position:
            return self.create
        return re.sub(
            r"^(\) ENGINE=\w+)",
            rf"\1 AUTO_INCREMENT={position}",
            self.create,
            count=1,
            flags=re.MULTILINE,
        )


class Definition(msgspec.Struct, frozen=True):
    """A view, routine, trigger, event or library, and the session settings that belong to it."""

    kind: str
    name: str
    statement: str
    sql_mode: str | None
    character_set: str
    collation: str
    time_zone: str | None = None
    table: str = ""

    def statements(self, database: str) -> Iterator[str]:
        """What makes it in the session's database."""
        yield f"SET SESSION character_set_client = {self.character_set}"
        yield f"SET SESSION collation_connection = {self.collation}"
        if self.time_zone is not None:
            yield f"SET SESSION time_zone = {literal(self.time_zone)}"
        if self.sql_mode is not None:
            yield f"SET SESSION sql_mode = {literal(self.sql_mode)}"
        yield named(self.statement, database)


# In another database, so that SHOW CREATE VIEW qualifies all names; but in one that it may write
# to, because an alias in DELETE is looked for there first.
BACK_TO_NEUTRAL = (
    f"USE {REGISTRY}",
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'",
    "SET NAMES utf8mb4",
)


class Blueprint(msgspec.Struct, frozen=True):
    """All of a database but its rows and positions."""

    collation: str
    tables: Mapping[str, Table]
    definitions: tuple[Definition, ...]

    def differences(self, other: Blueprint) -> tuple[str, ...]:
        """What is defined otherwise in the other, in words."""
        mine, theirs = dict(self._objects()), dict(other._objects())
        return tuple(
            key for key in sorted(mine.keys() | theirs.keys()) if mine.get(key) != theirs.get(key)
        )

    def _objects(self) -> Iterator[tuple[str, object]]:
        yield "the database's collation", self.collation
        for table in self.tables.values():
            yield f"{table.kind.replace('versioned', 'table')} {table.name}", table
        for definition in self.definitions:
            yield f"{definition.kind} {definition.name}", definition

    def triggers(self, table: str) -> tuple[Definition, ...]:
        """A table's triggers in the order in which they fire."""
        return tuple(one for one in self.definitions if one.table == table)

    def reached(self, tables: set[str]) -> set[str]:
        """``tables`` and those that their foreign keys' actions may have written to."""
        found: set[str] = set()
        new = tables & self.tables.keys()
        while new:
            found |= new
            new = {child for name in new for child in self.tables[name].cascades_to} - found
        return found


def named(statement: str, database: str) -> str:
    """A statement of a blueprint for the database of that name."""
    return statement.replace(_OWN, database)


def _unnamed(statement: str, database: str) -> str:
    return re.sub(rf"\b{re.escape(database)}\b", _OWN, statement)


def read(session: Session, database: str) -> tuple[Blueprint, dict[str, int]]:
    """The blueprint of a database, and each table's next AUTO_INCREMENT value or position."""
    found = session.rows(_TABLES, database)
    tables = _tables(session, database, found)
    positions = {
        # MySQL does not know the next number of a table that nobody has read yet.
        name: int(number or tables[name].counts)
        for name, _, _, number in found
        if name in tables
    }
    for name in (table.name for table in tables.values() if table.kind == "sequence"):
        ((positions[name],),) = session.rows(
            f"SELECT next_not_cached_value FROM {quoted(database, name)}"
        )
    ((collation,),) = session.rows(
        "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s",
        database,
    )
    views = [row[0] for row in found if row[0] not in tables]
    definitions = (
        *_libraries(session, database),
        *_others(session, database),
        *_views(session, database, views),
    )
    order = ("library", "routine", "view", "trigger", "event")
    ordered = tuple(sorted(definitions, key=lambda one: order.index(one.kind)))
    return Blueprint(str(collation), tables, ordered), positions


def _tables(session: Session, database: str, found: list[Row]) -> dict[str, Table]:
    columns: dict[str, list[Column]] = {}
    counting: set[str] = set()
    for table, name, data_type, extra in session.rows(_COLUMNS, database):
        if "auto_increment" in str(extra):
            counting.add(table)
        if "GENERATED" not in str(extra).replace("DEFAULT_GENERATED", ""):
            columns.setdefault(table, []).append(Column(name, str(data_type)))
    keys: dict[str, list[Row]] = {}
    for row in session.rows(_KEYS, database):
        keys.setdefault(row[0], []).append(row)
    cascades = session.rows(_CASCADES, database)
    kinds = {row[0]: _KINDS[row[1]] for row in found if row[1] in _KINDS}  # the others are views
    creates = dict(_creates(session, database, kinds))
    engines = {row[0]: row[2] for row in found}
    tables: dict[str, Table] = {}
    for name, kind in kinds.items():
        key = keys.get(name, [])
        tables[name] = Table(
            name=name,
            kind=kind,
            engine=engines[name],
            create=creates[name],
            columns=tuple(columns.get(name, ())),
            key=tuple(row[1] for row in key) if all(row[2] is None for row in key) else (),
            cascades_to=tuple(sorted({child for parent, child in cascades if parent == name})),
            counts=name in counting,
        )
    return tables


def _creates(
    session: Session, database: str, kinds: Mapping[str, TableKind]
) -> Iterator[tuple[str, str]]:
    found = session.results(
        f"SHOW CREATE {'SEQUENCE' if kind == 'sequence' else 'TABLE'} {quoted(database, name)}"
        for name, kind in kinds.items()
    )
    for name, (_, rows) in zip(kinds, found, strict=True):
        yield name, _unnamed(POSITION.sub(r"\1", str(rows[0][1])), database)


def _libraries(session: Session, database: str) -> Iterator[Definition]:
    """MySQL's libraries of JavaScript, which routines import."""
    if session.flavour != "mysql" or session.version < _WITH_LIBRARIES:
        return
    for (name,) in session.rows(_LIBRARIES, database):
        ((_, sql_mode, statement),) = session.rows(f"SHOW CREATE LIBRARY {quoted(database, name)}")
        yield Definition(
            kind="library",
            name=name,
            statement=_unnamed(str(statement), database),
            sql_mode=str(sql_mode),
            character_set="utf8mb4",
            collation="utf8mb4_bin",
        )


def _others(session: Session, database: str) -> Iterator[Definition]:
    for kind, query in _OTHERS:
        for name, what, table in session.rows(query, database):
            row = list(session.rows(f"SHOW CREATE {what} {quoted(database, name)}")[0])
            time_zone = row.pop(2) if kind == "event" else None
            yield Definition(
                kind=kind,
                name=name,
                # MySQL takes the mark between statements of one message for a part of the body.
                statement=_unnamed(str(row[2]).rstrip("; \n"), database),
                sql_mode=str(row[1]),
                character_set=str(row[3]),
                collation=str(row[4]),
                time_zone=time_zone,
                table=str(table),
            )


def _views(session: Session, database: str, names: list[str]) -> list[Definition]:
    """The views, each after those that it reads."""
    views = []
    for name in names:
        _, statement, character_set, collation = session.rows(
            f"SHOW CREATE VIEW {quoted(database, name)}"
        )[0]
        views.append(
            Definition(
                kind="view",
                name=name,
                statement=_unnamed(str(statement), database),
                sql_mode=None,
                character_set=str(character_set),
                collation=str(collation),
            )
        )
    ordered: list[Definition] = []
    while views:
        left = [one.name for one in views]
        ready = [
            one
            for one in views
            if not any(quoted(_OWN, name) in one.statement for name in left if name != one.name)
        ]
        ordered += ready or views
        views = [one for one in views if one not in ordered]
    return ordered
