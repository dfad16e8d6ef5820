"""Which statements about whole databases are understood."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.memoising.whole.concerns import concerns
from pytest_slipstream.databases.memoising.whole.statements import (
    Create,
    Drop,
    Facts,
    looks,
    read,
)

UNSAFE = Facts(True, True, True, None, 180000, True, True, "", False, "")


@pytest.mark.parametrize(
    ("text", "name", "template", "sent"),
    [
        ("CREATE DATABASE Shop", "shop", "template1", 'CREATE DATABASE "new"'),
        (
            'create database "Shop" with template = tpl owner app;',
            "Shop",
            "tpl",
            'CREATE DATABASE "new" template = tpl owner app',
        ),
        (
            'CREATE DATABASE shop ENCODING \'utf8\' TEMPLATE "T""x"\n',
            "shop",
            'T"x',
            'CREATE DATABASE "new" ENCODING \'utf8\' TEMPLATE "T""x"',
        ),
        (
            "CREATE DATABASE shop TEMPLATE tpl STRATEGY wal_log",
            "shop",
            "tpl",
            'CREATE DATABASE "new" TEMPLATE tpl STRATEGY wal_log',
        ),
    ],
)
def test_create(text: str, name: str, template: str, sent: str) -> None:
    found = read(text)

    assert isinstance(found, Create)
    assert (found.name, found.template) == (name, template)
    fast = "" if found.has_strategy else " STRATEGY FILE_COPY"
    assert found.text("new", UNSAFE) == sent + fast


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("DROP DATABASE shop", "shop"),
        ('drop database if exists "Shop" ;', "Shop"),
        ("DROP DATABASE " + "x" * 70, "x" * 63),
    ],
)
def test_drop(text: str, name: str) -> None:
    assert read(text) == Drop(name)
    assert concerns(text)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE DATABASE shop CONNECTION LIMIT 5",
        "CREATE DATABASE shop ALLOW_CONNECTIONS false",
        "CREATE DATABASE shop TEMPLATE a TEMPLATE b",
        "CREATE DATABASE shop; SELECT 1",
        "CREATE DATABASE shop TEMPLATE 'a\\'",
        "DROP DATABASE shop WITH (FORCE)",
        "DROP DATABASE shop, other",
        "-- a comment\nDROP DATABASE shop",
        "DROP DATABASE slipstream_memo_db_1_1",
        "ALTER DATABASE shop RENAME TO other",
    ],
)
def test_as_written(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("SELECT datname FROM pg_database", True),
        ("SELECT count(*) FROM pg_catalog.pg_stat_database", True),
        ("DROP ROLE app", True),
        ("REASSIGN OWNED BY app TO other", True),
        ("SELECT 1 FROM pg_database WHERE datname='shop'", False),
        ("SELECT 1 FROM pg_database WHERE datname = %s", False),
        ("SELECT oid FROM pg_database WHERE datname = current_database()", False),
        ("SELECT 1 FROM pg_database a, pg_database b WHERE a.datname = 'shop'", True),
        ("SELECT current_database()", False),
    ],
)
def test_who_looks_at_all_databases(text: str, does: bool) -> None:
    assert looks(text) is does
    assert concerns(text)


def test_what_slipstream_asks_is_nobodys_statement() -> None:
    assert not concerns(Drop("shop").question)
