"""A database made from a blueprint, with rows from wherever they are.

The invariant: when `make` returns, the database has the blueprint that it was made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import pymysql

from pytest_slipstream.databases.engines.mysql.blueprint import (
    BACK_TO_NEUTRAL,
    Blueprint,
    Table,
    named,
    read,
)
from pytest_slipstream.databases.engines.mysql.sessions import Session, quoted


class Image(msgspec.Struct, frozen=True):
    """Where a table's rows are to be read, and its next AUTO_INCREMENT value or position.

    ``database`` is None for a table without rows.
    """

    database: str | None
    position: int


def make(
    session: Session, database: str, blueprint: Blueprint, images: Mapping[str, Image]
) -> None:
    """Make a database that is not there yet.

    Args:
        session: Is in no database afterwards that anything depends on.
        database: Its name.
        blueprint: What is in it.
        images: The rows of each table.
    """
    session.run(_statements(database, blueprint, images))


def copy(session: Session, source: str, database: str) -> tuple[Blueprint, dict[str, Image]]:
    """Copy a database as it is now; what is not committed is left out.

    Returns:
        The blueprint, and the images that the copy now has.
    """
    found, positions = read(session, source)
    images = images_of(session, source, found, positions)
    try:
        make(session, database, found, images)
    except pymysql.err.MySQLError:
        session.run([*BACK_TO_NEUTRAL, f"DROP DATABASE IF EXISTS {quoted(database)}"])
        raise
    copied = {
        name: msgspec.structs.replace(image, database=image.database and database)
        for name, image in images.items()
    }
    return found, copied


def _statements(database: str, blueprint: Blueprint, images: Mapping[str, Image]) -> Iterator[str]:
    yield f"CREATE DATABASE {quoted(database)} COLLATE {blueprint.collation}"
    yield f"USE {quoted(database)}"
    # A sequence may be a column's default, so sequences come first.
    tables = sorted(blueprint.tables.values(), key=lambda table: table.kind != "sequence")
    for table in tables:
        image = images[table.name]
        if table.kind == "sequence":
            yield named(table.create, database)
            yield positioned(table, database, image.position)
        else:
            yield named(table.created(image.position), database)
            if image.database is not None:
                yield filled(table, database, image.database)
    for definition in blueprint.definitions:
        yield from definition.statements(database)
    yield from BACK_TO_NEUTRAL


def column_list(table: Table, alias: str = "") -> str:
    """The columns that are copied."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + quoted(column.name) for column in table.columns)


def filled(table: Table, database: str, source: str) -> str:
    """Copy all rows of a table from another database into the empty one."""
    columns = column_list(table)
    if table.kind == "versioned":
        columns = f"{columns}, row_start, row_end"
    return (
        f"INSERT INTO {quoted(database, table.name)} ({columns}) "
        f"SELECT {columns} FROM {_all_rows(table, source)}"
    )


def _all_rows(table: Table, database: str) -> str:
    """A table with its history, if it has one."""
    moment = " FOR SYSTEM_TIME ALL" if table.kind == "versioned" else ""
    return quoted(database, table.name) + moment


def positioned(table: Table, database: str, position: int) -> str:
    """Set the next AUTO_INCREMENT value of a table, or what a sequence gives next."""
    name = quoted(database, table.name)
    if table.kind == "sequence":
        return f"ALTER SEQUENCE {name} RESTART {position}"
    return f"ALTER TABLE {name} AUTO_INCREMENT = {max(position, 1)}"


def images_of(
    session: Session, database: str, blueprint: Blueprint, positions: Mapping[str, int]
) -> dict[str, Image]:
    """The images of all tables of a database."""
    tables = [table for table in blueprint.tables.values() if table.kind != "sequence"]
    found = session.results(
        f"SELECT EXISTS (SELECT 1 FROM {_all_rows(table, database)})" for table in tables
    )
    filled_ones = {table.name for table, (_, rows) in zip(tables, found, strict=True) if rows[0][0]}
    return {
        name: Image(database if name in filled_ones else None, positions[name])
        for name in blueprint.tables
    }
