"""The statements that make a table equal to its image again, and those that take a layer out.

Pure: text from values. All statements are for a session without foreign key checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pytest_slipstream.databases.engines.mysql.blueprint import Definition, Table
from pytest_slipstream.databases.engines.mysql.copying import (
    Image,
    column_list,
    filled,
    positioned,
)
from pytest_slipstream.databases.engines.mysql.sessions import quoted


def obstacle(table: Table) -> str | None:
    """Why a table cannot be put back row by row, or None."""
    if table.kind == "versioned":
        return f"{table.name} has system versioning, whose history only a new copy undoes"
    return None


def restored(
    table: Table, database: str, image: Image, triggers: Sequence[Definition], *, moved: bool
) -> list[str]:
    """What makes a table equal to its image.

    Args:
        table: The table; not one with an `obstacle`.
        database: Where it is.
        image: What it shall be.
        triggers: Its own; they must not fire.
        moved: Whether its next AUTO_INCREMENT value is another than the image's.
    """
    if table.kind == "sequence":
        return [positioned(table, database, image.position)]
    name = quoted(database, table.name)
    in_the_way = [one for one in triggers if image.database is not None]
    statements = [f"DROP TRIGGER {quoted(database, one.name)}" for one in in_the_way]
    truncates = not table.is_transactional or (bool(triggers) and image.database is None)
    if truncates:
        statements.append(f"TRUNCATE TABLE {name}")
    elif image.database is None or not table.key:
        statements.append(f"DELETE FROM {name}")
    if image.database is not None:
        if truncates or not table.key:
            statements.append(filled(table, database, image.database))
        else:
            statements += _differences_undone(table, database, image.database)
    if (moved or truncates) and image.position:
        statements.append(positioned(table, database, image.position))
    if in_the_way:
        statements.append(f"USE {quoted(database)}")
        statements += [text for one in in_the_way for text in one.statements(database)]
    return statements


def _differences_undone(table: Table, database: str, source: str) -> Iterator[str]:
    """Only rows that differ are written: a seed may be large, and a test changes little."""
    slot, image = quoted(database, table.name), quoted(source, table.name)
    key = _same_key(table, "s", "i")
    first = quoted(table.key[0])
    same = _same_row(table, "s", "i")
    yield f"DELETE s FROM {slot} s LEFT JOIN {image} i ON {same} WHERE i.{first} IS NULL"
    yield (
        f"INSERT INTO {slot} ({column_list(table)}) SELECT {column_list(table, 'i')} "
        f"FROM {image} i LEFT JOIN {slot} s ON {key} WHERE s.{first} IS NULL"
    )


def taken_out(table: Table, above: str, lower: str, below: str | None) -> list[str]:
    """What changes back, in a layer above, the rows that a lower layer had changed.

    Rows that the layer above changed too stay as it has them. A row of a table without a primary
    key is known by its content.

    Args:
        table: The table, with the rows of all three under its name.
        above: The database of the layer above.
        lower: The database of the layer that is taken out.
        below: The database with what lies below that; None for no rows.
    """
    if not table.key:
        return _content_taken_out(table, above, lower, below)
    mine, theirs = quoted(above, table.name), quoted(lower, table.name)
    keys = quoted(above, "slipstream_keys")
    columns = ", ".join(quoted(one) for one in table.key)
    key, same = partial(_same_key, table), partial(_same_row, table)
    untouched = f"EXISTS (SELECT 1 FROM {mine} a WHERE {same('a', 'l')})"
    base = quoted(below or "", table.name)
    unchanged = f"EXISTS (SELECT 1 FROM {base} b WHERE {same('b', 'l')})"
    changed = "TRUE" if below is None else f"NOT {unchanged}"
    statements = [
        f"DROP TABLE IF EXISTS {keys}",
        f"CREATE TABLE {keys} ENGINE = InnoDB AS SELECT {columns} FROM {theirs} l "
        f"WHERE {changed} AND {untouched}",
    ]
    if below is not None:
        statements.append(
            f"INSERT INTO {keys} SELECT {columns} FROM {base} b "
            f"WHERE NOT EXISTS (SELECT 1 FROM {theirs} l WHERE {key('l', 'b')}) "
            f"AND NOT EXISTS (SELECT 1 FROM {mine} a WHERE {key('a', 'b')})"
        )
    statements.append(f"DELETE a FROM {mine} a JOIN {keys} k ON {key('a', 'k')}")
    if below is not None:
        statements.append(
            f"INSERT INTO {mine} ({column_list(table)}) SELECT {column_list(table, 'b')} "
            f"FROM {base} b JOIN {keys} k ON {key('b', 'k')}"
        )
    return [*statements, f"DROP TABLE {keys}"]


def _same_key(table: Table, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(key)} = {other}.{quoted(key)}" for key in table.key)


def _same_row(table: Table, one: str, other: str) -> str:
    same = (column.same(one, other) for column in table.columns)
    return " AND ".join([_same_key(table, one, other), *same])


def differs(table: Table, database: str, source: str) -> str:
    """The question whether a table without a primary key has other rows than its image."""
    slot, image = quoted(database, table.name), quoted(source, table.name)
    one, other = _less(table, slot, image), _less(table, image, slot)
    return f"SELECT EXISTS ({one}) OR EXISTS ({other})"


def _less(table: Table, one: str, other: str) -> str:
    """The rows of one that the other has not, by content and number."""
    exact = ", ".join(column.exact for column in table.columns)
    number = f"row_number() OVER (PARTITION BY {exact}) AS slipstream_n"
    columns = column_list(table)
    same = " AND ".join(column.same("x", "y") for column in table.columns)
    return (
        f"SELECT {column_list(table, 'x')} FROM (SELECT {columns}, {number} FROM {one}) x "
        f"WHERE NOT EXISTS (SELECT 1 FROM (SELECT {columns}, {number} FROM {other}) y "
        f"WHERE {same} AND x.slipstream_n = y.slipstream_n)"
    )


def _content_taken_out(table: Table, above: str, lower: str, below: str | None) -> list[str]:
    """Add what the lower layer removed, then remove what it added, by content and number."""
    mine, theirs = quoted(above, table.name), quoted(lower, table.name)
    columns = column_list(table)
    result = quoted(above, "slipstream_rows")
    all_rows, added = f"SELECT {columns} FROM {mine}", f"SELECT {columns} FROM {theirs}"
    if below is not None:
        base = quoted(below, table.name)
        all_rows += f" UNION ALL {_less(table, base, theirs)}"
        added = _less(table, theirs, base)
    return [
        f"DROP TABLE IF EXISTS {result}",
        f"CREATE TABLE {result} LIKE {mine}",
        f"INSERT INTO {result} ({columns}) {_less(table, f'({all_rows}) r', f'({added}) d')}",
        f"DELETE FROM {mine}",
        f"INSERT INTO {mine} ({columns}) SELECT {columns} FROM {result}",
        f"DROP TABLE {result}",
    ]


def image_made(table: Table, database: str, layer: str) -> list[str]:
    """What keeps a table's rows as they are now in a layer's database."""
    return [
        f"CREATE TABLE {quoted(layer, table.name)} LIKE {quoted(database, table.name)}",
        filled(table, layer, database),
    ]
