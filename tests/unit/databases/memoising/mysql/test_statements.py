"""Statements about whole databases of MariaDB: what is understood, and what is not."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.memoising.mysql.sending import concerns
from pytest_slipstream.databases.memoising.mysql.statements import Create, Drop, Exists, read


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CREATE DATABASE shop", "shop"),
        ("create schema if not exists `my``shop` default character set = 'utf8';", "my`shop"),
        ("\n CREATE DATABASE Shop CHARSET utf8mb4 COLLATE utf8mb4_bin ;", "Shop"),
    ],
)
def test_creates(text: str, name: str) -> None:
    assert read(text) == Create(name, text)
    assert concerns(text)
    assert concerns(text.encode())


@pytest.mark.parametrize(
    ("text", "name"),
    [("DROP DATABASE shop", "shop"), ("drop schema if exists `a-b` ;", "a-b")],
)
def test_drops(text: str, name: str) -> None:
    assert read(text) == Drop(name, text)
    assert concerns(text)


def test_a_question_is_asked_of_a_database_that_cannot_be() -> None:
    asked = "SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = '{}'"

    assert read(asked.format("shop")) == Exists("shop", asked.format(""))
    assert concerns(asked.format("shop"))


@pytest.mark.parametrize(
    "text",
    [
        "CREATE OR REPLACE DATABASE shop",
        "CREATE DATABASE shop COMMENT 'ours'",
        "CREATE DATABASE shop ENCRYPTION 'Y'",
        "CREATE DATABASE shop; DROP DATABASE other",
        "CREATE DATABASE 0shop",
        "DROP DATABASE shop -- for good",
        "DROP DATABASE",
        "DROP DATABASE \u00e4",
        "/* soon */ DROP DATABASE shop",
        "SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = 'shop '",
        "SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA",
    ],
)
def test_all_else_is_not_understood(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "text", ["SELECT * FROM person", "DROP TABLE person", "INSERT INTO t", b""]
)
def test_most_statements_are_told_by_their_beginning(text: str | bytes) -> None:
    assert not concerns(text)
