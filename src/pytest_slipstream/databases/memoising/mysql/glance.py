"""What is in the tables of a MariaDB or MySQL database, in one round trip.

The invariant: nothing is changed but what the statements do that the caller sends first.
"""

from __future__ import annotations

import msgspec

from pytest_slipstream.databases.engines.mysql.sessions import Session, literal, quoted
from pytest_slipstream.databases.memoising.mysql.catalogue import Counted, Reader, counted
from pytest_slipstream.databases.memoising.mysql.tables import Rows

# One row of few texts, since PyMySQL takes long for many columns and answers.
_GLANCE = """
SELECT CAST(concat(''{filled}) AS CHAR),
(SELECT group_concat(table_name, ' ', auto_increment SEPARATOR '\n')
 FROM information_schema.tables WHERE table_schema = {database} AND auto_increment <> 1)
"""
# MySQL keeps a table's next number on disk, too, which an insert that fails may move unseen.
_INSERTED = """
SELECT object_name, count_insert FROM performance_schema.table_io_waits_summary_by_table
WHERE object_type = 'TABLE' AND object_schema = {database}
"""


class Glance(msgspec.Struct, frozen=True):
    """What the counters say, and what is in the tables. ``inserted``: how often MySQL was told to
    insert."""

    counted: Counted
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
        first: Statements that are sent before.
    """
    filled = (f", EXISTS (SELECT 1 FROM {quoted(database, name)})" for name in tables)
    question = _GLANCE.format(
        database=literal(database),
        filled="".join(filled),
    )
    is_mysql = session.flavour == "mysql"
    inserted = _INSERTED.format(database=literal(database))
    asked = (inserted, *first) if is_mysql else first
    told = [rows for _, rows in session.results([*asked, reader.question, question])]
    ((has_rows, positions),) = told[-1]
    lines = (line.rpartition(" ") for line in (positions or "").split("\n") if line)
    return Glance(
        counted=counted(told[-2]),
        rows=Rows(
            frozenset(name for name, one in zip(tables, has_rows, strict=True) if one == "1"),
            {name: int(number) for name, _, number in lines},
        ),
        inserted={name: int(count) for name, count in told[0]} if is_mysql else {},
    )
