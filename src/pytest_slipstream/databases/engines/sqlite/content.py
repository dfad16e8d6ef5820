"""What a SQLite database holds, read in full: for the audit, and to name what was touched.

The invariant: equal contents give equal dictionaries, and any change of a row, of an object's
definition, of a sequence or of the two header fields that belong to the application changes one.
Nothing here relies on how a slot is cleaned.
"""

from __future__ import annotations

import hashlib
import sqlite3

_MODULUS = 2**128
HEADER_FIELDS = ("user_version", "application_id")


def digest(connection: sqlite3.Connection) -> dict[str, str]:
    """Each object's definition and each table's rows to a digest.

    Args:
        connection: In autocommit mode; its ``text_factory`` is replaced while this runs.
    """
    found = {}
    for kind, name, table, sql in objects(connection):
        found[f"{kind} {name}"] = _hash(f"{table}\n{sql}".encode())
        if kind == "table" and not is_virtual(sql):
            found[f"rows of {name}"] = _rows(connection, name)
    for field in HEADER_FIELDS:
        found[f"pragma {field}"] = str(connection.execute(f"PRAGMA {field}").fetchone()[0])
    return found


def objects(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """The catalogue: kind, name, table and definition of each object."""
    rows = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master")
    return sorted(rows.fetchall())


def changed_tables(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    """The objects in which two digests differ: tables and views as ``main.name``."""
    keys = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return tuple(sorted({_readable(key) for key in keys}))


def definitions_changed(
    before: list[tuple[str, str, str, str]], after: list[tuple[str, str, str, str]]
) -> tuple[str, ...]:
    """What DDL did between two catalogues, in a few words each."""
    was = {(kind, name): (table, sql) for kind, name, table, sql in before}
    now = {(kind, name): (table, sql) for kind, name, table, sql in after}
    created = [f"CREATE {kind.upper()} {name}" for kind, name in now.keys() - was.keys()]
    dropped = [f"DROP {kind.upper()} {name}" for kind, name in was.keys() - now.keys()]
    altered = [
        f"ALTER {kind.upper()} {name}"
        for kind, name in was.keys() & now.keys()
        if was[kind, name] != now[kind, name]
    ]
    return tuple(sorted(created + dropped + altered))


def quoted(name: str) -> str:
    """``name`` as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _readable(key: str) -> str:
    kind, _, name = key.partition(" ")
    return (
        key if kind == "pragma" else f"main.{name.removeprefix('of ') if kind == 'rows' else name}"
    )


def is_virtual(sql: str) -> bool:
    """Whether ``sql`` defines a virtual table; what it holds is in its shadow tables."""
    return sql[:14].upper() == "CREATE VIRTUAL"


def _rows(connection: sqlite3.Connection, table: str) -> str:
    """The number of rows and the sum of their hashes: the same in whatever order they come."""
    count = total = 0
    factory = connection.text_factory
    # Text may be any bytes; and a text differs from the blob of the same bytes.
    connection.text_factory = lambda value: ("text", value)
    try:
        for row in connection.execute(f"SELECT * FROM {quoted(table)}"):
            count += 1
            total += int.from_bytes(
                hashlib.blake2b(repr(row).encode(), digest_size=16).digest(), "big"
            )
    finally:
        connection.text_factory = factory
    return f"{count} rows, {total % _MODULUS:032x}"


def _hash(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()
