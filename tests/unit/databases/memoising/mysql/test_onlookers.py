"""Which commands of a connection could tell a drop that is put off."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.memoising.mysql.onlookers import OWN, looks

QUERY = 3


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "rollback;",
        "BEGIN",
        "START TRANSACTION",
        "SET NAMES utf8mb4",
        "SET SESSION sql_mode = 'ANSI'",
        "SET AUTOCOMMIT = 0",
        "SELECT @@transaction_isolation",
        "SELECT @@session.sql_mode",
        "SELECT DATABASE()",
        "SELECT 1",
        "SHOW VARIABLES LIKE 'sql_mode'",
        "USE shop",
        f"{OWN} connection_id()",
    ],
)
def test_statements_that_look_at_nothing(statement: str) -> None:
    assert not looks(QUERY, statement)
    assert not looks(QUERY, statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "SHOW TABLES",
        "DESCRIBE person",
        "SELECT 1 FROM person",
        "SELECT @@version, (SELECT count(*) FROM person)",
        "SET @n = (SELECT count(*) FROM person)",
        "SET @n = counted()",
        "SET STATEMENT lock_wait_timeout = 1 FOR TABLE person",
        "SET @n = 1; DROP TABLE person",
        "COMMIT; DROP TABLE person",
        "USE shop; DROP TABLE person",
        "SHOW VARIABLES WHERE (SELECT count(*) FROM person)",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "ROLLBACK TO SAVEPOINT one",
        "DROP DATABASE shop",
        "",
    ],
)
def test_statements_that_may_look(statement: str) -> None:
    assert looks(QUERY, statement)
    assert looks(QUERY, bytearray(statement.encode()))


@pytest.mark.parametrize(("command", "expected"), [(1, False), (2, False), (14, False), (22, True)])
def test_commands_that_are_no_statements(command: int, expected: bool) -> None:
    assert looks(command, b"\x03") is expected
