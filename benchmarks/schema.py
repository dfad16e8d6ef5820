"""The schema that is measured with: tables in a chain of foreign keys, some with seed rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    func,
    insert,
)

SEEDED_EVERY = 10
SEED_ROWS = 20
# The tables that a test writes: one of them is seeded.
WRITTEN = ("table_001", "table_010", "table_015")


def tables(count: int) -> MetaData:
    """A schema of ``count`` tables."""
    metadata = MetaData()
    for number in range(count):
        columns: list[Column[Any]] = [
            Column("id", Integer, primary_key=True),
            Column("name", String(60), nullable=False),
            Column("code", String(20), unique=True),
            Column("made_at", DateTime, server_default=func.now()),
        ]
        if number:
            columns.append(Column("parent_id", ForeignKey(f"table_{number - 1:03}.id"), index=True))
        Table(f"table_{number:03}", metadata, *columns)
    return metadata


def fill(url: str, metadata: MetaData, *, width: int = 40) -> None:
    """Make the schema at ``url`` with its seed rows.

    Args:
        url: An empty database, in SQLAlchemy's writing.
        metadata: From `tables`.
        width: Characters in each seeded name: how wide the seed is.
    """
    engine = create_engine(url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables[::SEEDED_EVERY]:
            rows = [{"name": "x" * width, "code": f"{number}"} for number in range(SEED_ROWS)]
            connection.execute(insert(table), rows)
    engine.dispose()
