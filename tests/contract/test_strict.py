"""Strict SQLite is still SQLite: its triggers disturb nothing that a statement does."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Owner, Slot
from pytest_slipstream.settings import DatabaseSettings

SCHEMA = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(5) UNIQUE, age INTEGER DEFAULT 7,
    shout TEXT GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE pairs (a VARCHAR(3), b INTEGER, note TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE exact (id INTEGER PRIMARY KEY, n INT, any_value ANY) STRICT;
CREATE TABLE untyped (x, y);
CREATE TABLE "odd ""Name;" ("a column" VARCHAR(2), "it's" DATE);
CREATE TABLE parent (code VARCHAR(3) PRIMARY KEY);
CREATE TABLE child (code VARCHAR(3) REFERENCES parent (code) ON UPDATE CASCADE);
CREATE VIEW names AS SELECT id, name FROM users;
CREATE TRIGGER names_insert INSTEAD OF INSERT ON names BEGIN
    INSERT INTO users (name) VALUES (new.name);
END;
CREATE VIRTUAL TABLE words USING fts5(text);
CREATE TABLE log (what TEXT);
CREATE TRIGGER users_log AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.name); END;
INSERT INTO users (name) VALUES ('ann');
"""


@pytest.fixture(scope="module")
def slot(shared_cache_dir: Path) -> Iterator[Slot]:
    uid = uuid.uuid4().hex
    engine = engines.load(
        "main",
        DatabaseSettings(engine="sqlite", strict=True),
        cache_dir=shared_cache_dir,
        owner=Owner(testrun_uid=uid, worker="main"),
    )
    engine.open(lambda message: None)
    template = naming.template_name("main", uid)
    with engine.build_lock(template):
        engine.run_script(engine.begin_build(template), SCHEMA)
        engine.publish(template, "main", uid)
    slot = engine.create_slot(naming.slot_name(uid, "main", "main"), template)
    yield slot
    slot.close()
    engine.drop_template(template)
    engine.close()


@pytest.fixture
def connection(slot: Slot) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(slot.address.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    assert slot.clean().cannot is None


def refused(connection: sqlite3.Connection, sql: str) -> str:
    with pytest.raises(sqlite3.IntegrityError) as caught:
        connection.execute(sql)
    return str(caught.value)


def test_numbers_and_counts(connection: sqlite3.Connection):
    cursor = connection.execute("INSERT INTO users (name) VALUES ('bob'), ('cid')")
    assert (cursor.rowcount, cursor.lastrowid) == (2, 3)
    assert connection.execute("SELECT last_insert_rowid(), changes()").fetchone() == (3, 2)
    cursor = connection.execute("UPDATE users SET age = age + 1")
    assert cursor.rowcount == 3
    assert connection.execute("SELECT what FROM log").fetchall() == [("ann",), ("bob",), ("cid",)]


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 35), reason="RETURNING is of SQLite 3.35")
def test_returning(connection: sqlite3.Connection):
    cursor = connection.execute("INSERT INTO users (name) VALUES ('bob') RETURNING id, shout")
    assert cursor.fetchall() == [(2, "BOB")]


def test_a_refused_statement_changes_nothing(connection: sqlite3.Connection):
    connection.execute("BEGIN")
    connection.execute("INSERT INTO users (name) VALUES ('bob')")
    message = refused(connection, "INSERT INTO users (name) VALUES ('cid'), ('too long')")
    assert message.startswith("users.name is VARCHAR(5) and takes a text of at most 5 characters")
    assert connection.in_transaction
    connection.execute("COMMIT")
    assert connection.execute("SELECT name FROM users").fetchall() == [("ann",), ("bob",)]


def test_conflicts(connection: sqlite3.Connection):
    connection.execute("INSERT OR IGNORE INTO users (name) VALUES ('ann')")
    connection.execute("INSERT OR REPLACE INTO users (id, name, age) VALUES (1, 'ann', 8)")
    connection.execute(
        "INSERT INTO users (name) VALUES ('ann') ON CONFLICT (name) DO UPDATE SET age = 9"
    )
    assert connection.execute("SELECT name, age FROM users").fetchall() == [("ann", 9)]
    for how in ("OR IGNORE ", "OR REPLACE ", "OR ROLLBACK ", "OR FAIL "):
        assert "users.name" in refused(
            connection, f"INSERT {how}INTO users (name) VALUES ('long!!')"
        )
        assert "users.age" in refused(connection, f"UPDATE {how}users SET age = 'old'")
    upsert = "INSERT INTO users (name) VALUES ('ann') ON CONFLICT (name) DO UPDATE SET age = 'old'"
    assert "users.age" in refused(connection, upsert)


def test_tables_of_every_kind(connection: sqlite3.Connection):
    connection.execute("INSERT INTO pairs VALUES ('a', 1, 'x')")
    assert "pairs.a" in refused(connection, "INSERT INTO pairs VALUES ('abcd', 1, 'x')")
    connection.execute("INSERT INTO exact VALUES (1, 2, x'00')")
    assert "exact.n is INT" in refused(connection, "INSERT INTO exact VALUES (2, 3000000000, 1)")
    connection.execute("INSERT INTO untyped VALUES ('x', x'00')")
    connection.execute("INSERT INTO words VALUES (x'00')")
    connection.execute('INSERT INTO "odd ""Name;" VALUES (\'ab\', NULL)')
    assert """odd "Name;.it's is DATE""" in refused(
        connection, """INSERT INTO "odd ""Name;" VALUES ('ab', 'soon')"""
    )
    connection.execute("INSERT INTO names (name) VALUES ('bob')")
    assert "users.name" in refused(connection, "INSERT INTO names (name) VALUES ('robert')")


def test_cascades(connection: sqlite3.Connection):
    connection.execute("INSERT INTO parent VALUES ('abc')")
    connection.execute("INSERT INTO child VALUES ('abc')")
    connection.execute("UPDATE parent SET code = 'xyz'")
    assert connection.execute("SELECT code FROM child").fetchall() == [("xyz",)]
    assert "parent.code" in refused(connection, "UPDATE parent SET code = 'long'")
    assert "(never NULL)" in refused(connection, "INSERT INTO parent VALUES (NULL)")


def test_tables_can_be_altered(connection: sqlite3.Connection):
    connection.execute("ALTER TABLE pairs ADD COLUMN mail TEXT")
    connection.execute("ALTER TABLE pairs RENAME COLUMN a TO c")
    connection.execute("ALTER TABLE pairs RENAME TO couples")
    refused(connection, "INSERT INTO couples (c) VALUES ('long')")
    connection.execute("CREATE TABLE copy AS SELECT * FROM couples")
    connection.execute("DROP TABLE couples")
    connection.execute("ALTER TABLE copy RENAME TO pairs")


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 35), reason="it is of SQLite 3.35")
def test_a_column_is_dropped_after_its_triggers(connection: sqlite3.Connection):
    with pytest.raises(sqlite3.OperationalError, match="slipstream_strict_insert_pairs"):
        connection.execute("ALTER TABLE pairs DROP COLUMN note")
    connection.execute("DROP TRIGGER slipstream_strict_insert_pairs")
    connection.execute("DROP TRIGGER slipstream_strict_update_pairs")
    connection.execute("ALTER TABLE pairs DROP COLUMN note")


def test_layers_keep_the_triggers(slot: Slot):
    with closing(sqlite3.connect(slot.address.path)) as connection:
        for name in ("one", "two"):
            connection.execute("INSERT INTO users (name) VALUES (?)", (name,))
            connection.commit()
            assert slot.push_layer() == ("main.log", "main.sqlite_sequence", "main.users")
        slot.pop_layer(1)
        assert connection.execute("SELECT name FROM users").fetchall() == [("ann",), ("two",)]
        assert "users.name" in refused(connection, "INSERT INTO users (name) VALUES ('too long')")
        connection.rollback()
    slot.pop_layer()
    assert slot.clean().cannot is None
