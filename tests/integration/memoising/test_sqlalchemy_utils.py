"""SQLAlchemy-Utils' `create_database` and `drop_database` on SQLite: a file for each test.

On servers they are statements: see the tests of whole databases.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select
from sqlalchemy_utils import create_database, database_exists, drop_database

from memoised import held_to_plain

ROUNDS = 5
METADATA = MetaData()
PERSON = Table(
    "person", METADATA, Column("id", Integer, primary_key=True), Column("name", String(9))
)


def rounds(path: Path) -> list[object]:
    seen: list[object] = []
    url = f"sqlite:///{path}"
    for _ in range(ROUNDS):
        seen.append(database_exists(url))
        create_database(url)
        engine = create_engine(url)
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(PERSON).values(name="Ada"))
            seen.append(connection.execute(select(PERSON)).all())
            seen.append(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all())
        engine.dispose()
        seen.append(database_exists(url))
        drop_database(url)
        seen.append(path.exists())
    return seen


def test_a_file_for_each_test(tmp_path: Path) -> None:
    counts = held_to_plain(lambda _: rounds(tmp_path / "own.db"))

    assert counts.times == {"create_all on SQLite": ROUNDS - 2}
    assert counts.reasons == set()
