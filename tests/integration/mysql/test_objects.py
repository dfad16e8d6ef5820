"""Kinds of tables and objects that only MySQL and MariaDB have, or have in their own way."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from pytest_slipstream.databases.engines.protocol import ScriptError
from pytest_slipstream.databases.servers.mysql_binaries import find_binaries
from pytest_slipstream.errors import IsolationError, TemplateError

ROWS_CHANGED = {
    "mariadb": "SELECT rows_changed FROM information_schema.table_statistics "
    "WHERE table_schema = database() AND table_name = 't'",
    "mysql": "SELECT count_write FROM performance_schema.table_io_waits_summary_by_table "
    "WHERE object_schema = database() AND object_name = 't'",
}
PEOPLE = """
CREATE TABLE people (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20) UNIQUE);
INSERT INTO people (name) VALUES ('ann'), ('bob');
"""
FAMILY = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int AUTO_INCREMENT PRIMARY KEY, parent int,
    FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (child int, FOREIGN KEY (child) REFERENCES child (id) ON DELETE SET NULL);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child (parent) VALUES (1), (2);
INSERT INTO grandchild VALUES (1), (2), (2);
"""


@pytest.mark.parametrize("statement", ["DELETE FROM parent", "UPDATE parent SET id = id + 10"])
def test_what_foreign_keys_write_is_not_counted_and_put_back_all_the_same(trial, statement):
    family = trial(FAMILY)
    family.commit(statement)
    assert "main.parent" in family.reset().tables


def test_the_number_of_a_failed_insert_is_put_back(trial):
    people = trial(PEOPLE)
    with pytest.raises(Exception, match="Duplicate"):
        people.commit("INSERT INTO people (name) VALUES ('ann')")
    assert people.differences() == {"next number of people"}
    people.reset()


def test_numbers_below_the_highest_row_are_kept(trial):
    people = trial(PEOPLE + "ALTER TABLE people AUTO_INCREMENT = 100; DELETE FROM people;")
    people.commit("INSERT INTO people (name) VALUES ('new')")
    assert people.value("SELECT id FROM people") == 100
    people.reset()


def test_a_table_that_was_truncated_twice(trial):
    people = trial(PEOPLE)
    people.commit("TRUNCATE people", "TRUNCATE people")
    assert people.reset().tables == ("main.people",)


def test_triggers_do_not_fire_while_their_table_is_put_back(trial):
    watched = trial(
        PEOPLE
        + """
        CREATE TABLE log (what text);
        DELIMITER //
        CREATE TRIGGER gone AFTER DELETE ON people FOR EACH ROW BEGIN
            INSERT INTO log VALUES ('gone');
        END//
        CREATE TRIGGER came AFTER INSERT ON people FOR EACH ROW INSERT INTO log VALUES ('came')//
        """
    )
    watched.commit("INSERT INTO people (name) VALUES ('eve')", "DELETE FROM people")
    assert watched.value("SELECT count(*) FROM log") == 4
    assert set(watched.reset().tables) == {"main.people", "main.log"}
    watched.commit("DELETE FROM people")
    assert watched.value("SELECT count(*) FROM log") == 2


IN_MARIADB = pytest.mark.usefixtures("require_mariadb")


@pytest.mark.parametrize("kind", ["MyISAM", "Aria", "MEMORY"])
@pytest.mark.parametrize(
    "statement", ["INSERT INTO t (n) VALUES (5)", "TRUNCATE t", "DELETE FROM t"]
)
def test_tables_without_transactions(request, trial, kind, statement):
    if kind == "Aria":
        request.getfixturevalue("require_mariadb")
    table = trial(
        f"CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, n int) ENGINE = {kind};"
        "INSERT INTO t (n) VALUES (1), (2);"
    )
    table.commit(statement)
    assert table.reset().tables == ("main.t",)


def test_what_was_rolled_back_is_not_said_to_be_put_back(trial):
    keyless = trial("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x');")
    connection = keyless.connect()
    connection.cursor().execute("DELETE FROM t LIMIT 1")
    connection.rollback()
    connection.close()
    assert not keyless.slot.clean().restored
    keyless.commit("DELETE FROM t LIMIT 1")
    assert keyless.slot.clean().restored
    assert keyless.differences() == set()


@IN_MARIADB
def test_a_sequence_goes_back(trial):
    numbers = trial("CREATE SEQUENCE numbers START WITH 5 NOCACHE; SELECT NEXT VALUE FOR numbers;")
    for _ in range(2):
        assert numbers.value("SELECT NEXT VALUE FOR numbers") == 6
        numbers.reset()


@IN_MARIADB
def test_history_of_a_versioned_table_needs_a_new_copy(trial):
    versioned = trial(
        "CREATE TABLE v (n int) WITH SYSTEM VERSIONING; INSERT INTO v VALUES (1);"
        "UPDATE v SET n = 2;"
    )
    assert versioned.value("SELECT count(*) FROM v FOR SYSTEM_TIME ALL") == 2
    versioned.commit("DELETE FROM v")
    assert "system versioning" in versioned.escalate().cannot


def test_a_prepared_transaction_outlives_its_connection_and_is_rolled_back(trial):
    people = trial(PEOPLE)
    connection = people.connect()
    connection.autocommit(True)
    for statement in ("XA START 'one'", "DELETE FROM people", "XA END 'one'", "XA PREPARE 'one'"):
        connection.cursor().execute(statement)
    connection.close()
    cleaning = people.slot.clean()
    assert [leftover.detail for leftover in cleaning.leftovers] == ["prepared as 'one'"]
    assert people.differences() == set()


def test_a_session_in_another_database_that_holds_a_lock(trial, engine):
    people = trial(PEOPLE)
    with closing(engine.connect(engine.address("mysql"))) as connection:
        connection.cursor().execute(f"DELETE FROM {people.slot.name}.people")
        assert "Lock wait timeout" in people.slot.clean().cannot
        with pytest.raises(IsolationError, match="holds a lock in it"):
            people.slot.replace()
    people.slot.replace()
    assert people.differences() == set()


def test_a_text_that_differs_in_case_or_space_only(trial):
    people = trial(PEOPLE)
    people.commit("UPDATE people SET name = 'ANN' WHERE id = 1")
    people.reset()
    people.commit("UPDATE people SET name = 'ann ' WHERE id = 1")
    people.reset()


def test_only_rows_that_differ_are_written(trial):
    rows = ", ".join(f"({number}, 0)" for number in range(2000))
    large = trial(f"CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES {rows};")
    large.commit("UPDATE t SET n = 1 WHERE id = 7", "DELETE FROM t WHERE id = 9")
    rows_changed = ROWS_CHANGED[large.slot._session.flavour]
    before = large.value(rows_changed)
    large.reset()
    assert large.value(rows_changed) - before == 3  # one deleted, two inserted


def test_what_cannot_be_copied_fails_when_the_template_is_built(trial):
    with pytest.raises(TemplateError, match="cannot be copied"):
        trial("CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t; DROP TABLE t;")


@pytest.mark.parametrize(
    ("script", "line"),
    [("SELECT 1;\nUSE mysql;", 2), ("source other.sql;", 1), ("SELECT 1;\n\nSELECT 'open", 3)],
)
def test_scripts_stay_in_their_database(trial, script, line):
    with pytest.raises(ScriptError) as raised:
        trial(script)
    assert raised.value.line == line


def test_a_number_that_is_seen_only_when_the_table_is_opened_again(trial):
    """MySQL keeps it on disk when an insert fails that names the next one."""
    people = trial(PEOPLE)
    for _ in range(2):
        with pytest.raises(Exception, match="Duplicate"):
            people.commit("INSERT INTO people (id, name) VALUES (3, 'ann')")
        assert people.slot.clean().cannot is None
        people.commit("FLUSH TABLES")
        people.value("SELECT count(*) FROM people")
        assert people.differences() == set()


def test_libraries_are_copied_and_watched(trial, require_mysql):
    if find_binaries(os.environ).flavour == "mariadb":
        pytest.skip("MariaDB has no such thing")
    script = "CREATE LIBRARY lib LANGUAGE JAVASCRIPT AS 'export function f(n) {return n}';"
    library = trial(script)
    library.commit("DROP LIBRARY lib")
    assert library.escalate().ddl == ("library lib",)
