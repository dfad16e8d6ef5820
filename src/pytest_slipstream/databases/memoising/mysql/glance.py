"""What is in the tables of a MariaDB or MySQL database, and who is there, in one round trip.

The invariant: nothing is changed but what the statements do that the caller sends first.
"""

from __future__ import annotations

import msgspec

from pytest_slipstream.databases.engines.mysql.sessions import Session, literal, quoted
from pytest_slipstream.databases.memoising.mysql.catalogue import Reader, counts, total
from pytest_slipstream.databases.memoising.mysql.tables import Rows

# One row of few texts, since PyMySQL takes long for many columns and answers.
_GLANCE = """
SELECT {counter}, {sessions},
CAST(concat(''{filled}) AS CHAR),
(SELECT group_concat(table_name, ' ', auto_increment SEPARATOR '\n')
 FROM information_schema.tables WHERE table_schema = {database} AND auto_increment <> 1)
"""
_SESSIONS = "(SELECT group_concat(id) FROM information_schema.processlist WHERE db = {database})"
# MySQL keeps a table's next number on disk, too, which an insert that fails may move unseen.
_INSERTED = """
SELECT object_name, count_insert FROM performance_schema.table_io_waits_summary_by_table
WHERE object_type = 'TABLE' AND object_schema = {database}
"""


class Glance(msgspec.Struct, frozen=True):
    """What a place is like: what the counters say, who is there, and what is in the tables.

    ``inserts``: how many rows MariaDB was told to insert, on the whole server; ``inserted``: how
    often MySQL was told to insert.
    """

    counted: object
    inserts: object
    sessions: tuple[int, ...]
    rows: Rows
    inserted: dict[str, int]


def glance(
    session: Session, reader: Reader, database: str, tables: tuple[str, ...], *first: str
) -> Glance:
    """Look at tables.

    Args:
        session: Slipstream's own.
        reader: Of the database.
        database: Its name.
        tables: Which.
        first: Statements that are sent before; who locks tables is told who is there.
    """
    filled = (f", EXISTS (SELECT 1 FROM {quoted(database, name)})" for name in tables)
    question = _GLANCE.format(
        counter=reader.counter,
        sessions=_SESSIONS.format(database=literal(database)) if first else "NULL",
        database=literal(database),
        filled="".join(filled),
    )
    is_mysql = session.flavour == "mysql"
    inserted = _INSERTED.format(database=literal(database))
    asked = (inserted, *first, reader.counters) if is_mysql else first
    *told, (_, ((counted, present, has_rows, positions),)) = session.results([*asked, question])
    defined, inserts = counts(counted)
    lines = (line.rpartition(" ") for line in (positions or "").split("\n") if line)
    return Glance(
        counted=total(told[-1][1]) if is_mysql else defined,
        inserts=inserts,
        sessions=_numbers(present),
        rows=Rows(
            frozenset(name for name, one in zip(tables, has_rows, strict=True) if one == "1"),
            {name: int(number) for name, _, number in lines},
        ),
        inserted={name: int(count) for name, count in told[0][1]} if is_mysql else {},
    )


def counters_under(
    lock: str, session: Session, reader: Reader, database: str
) -> tuple[object, object, tuple[int, ...]]:
    """What MariaDB's counters say while nobody else can use some tables: of definitions, and of
    rows; and who is there."""
    sessions = _SESSIONS.format(database=literal(database))
    question = f"SELECT {reader.counter}, {sessions}"
    _, (_, ((counted, present),)), _ = session.results([lock, question, "UNLOCK TABLES"])
    return (*counts(counted), _numbers(present))


def _numbers(listed: str | None) -> tuple[int, ...]:
    return tuple(int(number) for number in (listed or "").split(",") if number)
