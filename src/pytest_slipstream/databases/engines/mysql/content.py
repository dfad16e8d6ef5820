"""What a MySQL or MariaDB database holds, read in full for the audit.

The invariant: equal contents give equal dictionaries, and any change of a row, a position or an
object's definition changes one. Nothing here relies on how a slot is cleaned.
"""

from __future__ import annotations

import hashlib

from pytest_slipstream.databases.engines.mysql import blueprint
from pytest_slipstream.databases.engines.mysql.blueprint import Blueprint, Table
from pytest_slipstream.databases.engines.mysql.sessions import Session, quoted
from pytest_slipstream.databases.engines.protocol import Address


def digest(address: Address) -> dict[str, str]:
    """Each object and each table's rows to a digest."""
    session = Session(address)
    try:
        return digest_in(session, address.database)
    finally:
        session.close()


def digest_in(session: Session, database: str) -> dict[str, str]:
    """The same, by a session that is there."""
    found, positions = blueprint.read(session, database)
    digests = _definitions(found)
    digests |= {f"next number of {name}": str(number) for name, number in positions.items()}
    return digests | {
        f"rows of {name}": rows for name, rows in _all_rows(session, database, found).items()
    }


def rows_in(session: Session, database: str) -> dict[str, str]:
    """Each table's rows, and each sequence's position, to a digest."""
    found, positions = blueprint.read(session, database)
    numbers = {name: str(positions[name]) for name in found.tables}
    return numbers | _all_rows(session, database, found)


def definitions_in(session: Session, database: str) -> dict[str, str]:
    """Each object's definition to a digest."""
    return _definitions(blueprint.read(session, database)[0])


def _definitions(found: Blueprint) -> dict[str, str]:
    digests = {"the database's collation": found.collation}
    for table in found.tables.values():
        digests[f"definition of {table.name}"] = _short(table.create)
    for one in found.definitions:
        parts = (one.statement, one.sql_mode, one.character_set, one.collation, one.time_zone)
        digests[f"{one.kind} {one.name}"] = _short(repr(parts))
    return digests


def _all_rows(session: Session, database: str, found: Blueprint) -> dict[str, str]:
    tables = [one for one in found.tables.values() if one.kind != "sequence"]
    results = session.results(_rows(table, database) for table in tables)
    digests = {}
    for table, (count, texts) in zip(tables, results, strict=True):
        all_rows = ",".join(sorted(str(text) for (text,) in texts))
        digests[table.name] = f"{count} rows, {_short(all_rows)}"
    return digests


def _rows(table: Table, database: str) -> str:
    values = ", ".join(f"coalesce(sha2({column.exact}, 256), 'NULL')" for column in table.columns)
    history = " FOR SYSTEM_TIME ALL" if table.kind == "versioned" else ""
    return f"SELECT concat_ws(',', {values}) FROM {quoted(database, table.name)}{history}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
