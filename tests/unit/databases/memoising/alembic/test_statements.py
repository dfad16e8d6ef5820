"""What can be told from a statement that a migration sent."""

from __future__ import annotations

import datetime

import pytest
from freezegun import freeze_time

from pytest_slipstream.databases.memoising.alembic.statements import Statement, has_time


def statement(text: str) -> Statement:
    return Statement(text, None, {})


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE person",
        "\n drop index by_name",
        "ALTER TABLE person DROP COLUMN age",
        "INSERT INTO alembic_version (version_num) VALUES ('r1')",
        "DELETE FROM alembic_version WHERE version_num = 'r1'",
        'UPDATE "alembic_version" SET version_num = 2',
        "SELECT alembic_version.version_num \nFROM alembic_version",
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = 1",
        'PRAGMA main.table_info("alembic_version")',
    ],
)
def test_what_ignores_rows(text: str) -> None:
    assert statement(text).ignores_rows("alembic_version")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM person",
        "SELECT 1 FROM pg_catalog.pg_class, person",
        "SELECT 1 FROM pg_catalog.pg_class c, person",
        "SELECT 1 FROM alembic_version JOIN person ON true",
        "SELECT (SELECT count(*) FROM person) FROM alembic_version",
        "SELECT setval('numbers', 3)",
        "INSERT INTO person SELECT 1",
        "UPDATE alembic_version_of_others SET a = 1",
        "ALTER TABLE person ADD age INTEGER",
        "CREATE UNIQUE INDEX by_name ON person (name)",
        "WITH gone AS (DELETE FROM person) SELECT 1",
        "PRAGMA foreign_keys = ON",
        "DO $$ BEGIN END $$",
    ],
)
def test_what_may_depend_on_them(text: str) -> None:
    assert not statement(text).ignores_rows("alembic_version")


def test_what_only_reads() -> None:
    assert statement("SELECT 1 FROM person").is_read("SQLite", "alembic_version")
    assert statement("PRAGMA table_info(person)").is_read("SQLite", "alembic_version")
    assert not statement("PRAGMA foreign_keys=ON").is_read("SQLite", "alembic_version")
    assert not statement("SELECT add_node() FROM person").is_read("PostgreSQL", "alembic_version")
    assert not statement("SELECT setval('n', 1)").is_read("PostgreSQL", "alembic_version")


def test_a_connections_setting_is_in_no_image() -> None:
    assert statement("CREATE TABLE a (b)").is_of_image()
    assert not statement("PRAGMA foreign_keys=ON").is_of_image()
    assert not statement("SET search_path TO other").is_of_image()


def test_the_time_of_making() -> None:
    now = datetime.datetime.now()

    assert has_time([("INSERT …", {"at": now})])
    assert has_time([("INSERT …", [(1, now.isoformat())])])
    assert has_time([f"x{now:%Y%m%d}"])
    assert has_time([now.timestamp()])
    assert has_time([int(now.timestamp() * 1000)])
    assert not has_time([("INSERT …", {"at": datetime.date(2001, 2, 3), "n": 17, "b": b"\x00"})])
    with freeze_time("2001-02-03"):
        assert has_time([datetime.date(2001, 2, 3)])
