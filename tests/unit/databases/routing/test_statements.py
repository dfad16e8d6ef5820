"""What statements do to transactions, told from their text."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.routing.statements import Kind, read


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", Kind.READ),
        ("  -- a word\n /* another */ select 1", Kind.READ),
        ("SELECT * INTO copy FROM t", Kind.WRITE),
        ("SELECT * FROM t FOR UPDATE", Kind.READ),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Kind.READ),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", Kind.WRITE),
        ("EXPLAIN SELECT 1", Kind.READ),
        ("EXPLAIN ANALYZE DELETE FROM t", Kind.WRITE),
        ("INSERT INTO t VALUES (1)", Kind.WRITE),
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", Kind.WRITE),
        ("", Kind.READ),
        ("BEGIN", Kind.BEGIN),
        ("begin transaction;", Kind.BEGIN),
        ("START TRANSACTION READ WRITE", Kind.BEGIN),
        ("BEGIN ISOLATION LEVEL READ COMMITTED", Kind.BEGIN),
        ("COMMIT", Kind.COMMIT),
        ("/* the end */ END TRANSACTION;", Kind.COMMIT),
        ("ROLLBACK", Kind.ROLLBACK),
        ("ABORT WORK", Kind.ROLLBACK),
        ("SAVEPOINT a", Kind.SAVEPOINT),
        ("RELEASE a", Kind.RELEASE),
        ("ROLLBACK TO a", Kind.ROLLBACK_TO),
        ("ROLLBACK WORK TO SAVEPOINT a;", Kind.ROLLBACK_TO),
        ("SET search_path TO x", Kind.SETTING),
        ("SET LOCAL search_path TO x", Kind.READ),
        ("SET CONSTRAINTS ALL DEFERRED", Kind.READ),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Kind.UNCONTAINED),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", Kind.UNCONTAINED),
        ("COMMIT AND CHAIN", Kind.UNCONTAINED),
        ("COMMIT PREPARED 'x'", Kind.UNCONTAINED),
        ("PREPARE TRANSACTION 'x'", Kind.UNCONTAINED),
        ("BEGIN; SELECT 1; COMMIT", Kind.UNCONTAINED),
        ("INSERT INTO t VALUES (1); COMMIT", Kind.UNCONTAINED),
        ("VACUUM t", Kind.UNCONTAINED),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", Kind.UNCONTAINED),
        ("CREATE DATABASE x", Kind.UNCONTAINED),
        ("CREATE TABLE x (a int); COMMIT; BEGIN", Kind.UNCONTAINED),
        ("SELECT 1; /* and */ COMMIT", Kind.UNCONTAINED),
        ("DO $$ BEGIN COMMIT; END $$", Kind.UNCONTAINED),
        ("DO $$ BEGIN NULL; END $$", Kind.WRITE),
        ("INSERT INTO t VALUES ('first; end of story')", Kind.WRITE),
        ("SELECT 1 /* ; commit; */", Kind.READ),
        ("DISCARD ALL;", Kind.UNCONTAINED),
        ("DISCARD PLANS", Kind.READ),
        ("CREATE TABLE x (a int)", Kind.WRITE),
    ],
)
def test_on_postgresql(sql: str, kind: Kind) -> None:
    assert read(sql, "postgresql").kind is kind


@pytest.mark.parametrize(
    ("engine", "sql", "kind"),
    [
        ("sqlite", "BEGIN IMMEDIATE", Kind.BEGIN),
        ("sqlite", "PRAGMA table_info(t)", Kind.READ),
        ("sqlite", "PRAGMA foreign_keys = ON", Kind.SETTING),
        ("sqlite", "PRAGMA foreign_keys(1)", Kind.SETTING),
        ("sqlite", "PRAGMA user_version", Kind.READ),
        ("sqlite", "PRAGMA user_version = 5", Kind.WRITE),
        ("sqlite", "PRAGMA main.application_id(5)", Kind.WRITE),
        ("sqlite", "PRAGMA optimize", Kind.WRITE),
        ("sqlite", "PRAGMA defer_foreign_keys = 1", Kind.UNCONTAINED),
        ("sqlite", "PRAGMA wal_checkpoint", Kind.UNCONTAINED),
        ("sqlite", "PRAGMA writable_schema", Kind.READ),
        ("sqlite", "REPLACE INTO t VALUES (1)", Kind.WRITE),
        ("mysql", "CREATE TABLE t (a int)", Kind.UNCONTAINED),
        ("mysql", "CREATE TEMPORARY TABLE t (a int)", Kind.WRITE),
        ("mysql", "TRUNCATE t", Kind.UNCONTAINED),
        ("mysql", "LOCK TABLES t WRITE", Kind.UNCONTAINED),
        ("mysql", "SET autocommit = 1", Kind.UNCONTAINED),
        ("mysql", "SET NAMES utf8mb4", Kind.SETTING),
        ("mysql", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", Kind.READ),
        ("mysql", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", Kind.UNCONTAINED),
        ("mysql", "USE other", Kind.UNCONTAINED),
    ],
)
def test_on_the_others(engine: str, sql: str, kind: Kind) -> None:
    assert read(sql, engine).kind is kind


@pytest.mark.parametrize(
    ("engine", "sql", "name"),
    [
        ("postgresql", "SAVEPOINT Name", "name"),
        ("postgresql", 'SAVEPOINT "Na""me"', 'Na"me'),
        ("sqlite", 'SAVEPOINT "Name"', "name"),
        ("mysql", "SAVEPOINT `Name`", "name"),
    ],
)
def test_names_of_savepoints_are_compared_as_the_product_does(
    engine: str, sql: str, name: str
) -> None:
    assert read(sql, engine).name == name


def test_a_reason_shows_the_beginning_of_the_statement() -> None:
    assert read("VACUUM  (ANALYZE)\n t", "postgresql").reason == (
        "the statement 'VACUUM (ANALYZE) t' cannot be rolled back"
    )
    assert len(read(f"VACUUM {'x' * 100}", "postgresql").reason) < 110
