"""Each rule as SQLite itself judges it, in a column of its type."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from pytest_slipstream.databases.engines.sqlite.rules import RealEngine, rule

Takes = Callable[..., bool]


@pytest.fixture
def takes() -> Iterator[Takes]:
    """Whether a column of this type takes the value."""
    with closing(sqlite3.connect(":memory:")) as connection:

        def ask(declared: str, value: Any, real: RealEngine | None = None) -> bool:
            found = rule(declared, real)
            if found is None:
                return True
            connection.execute(f"CREATE TABLE one (c {declared})")
            connection.execute("INSERT INTO one VALUES (?)", (value,))
            (refused,) = connection.execute(f"SELECT {found.refused.format(v='c')} FROM one")
            connection.execute("DROP TABLE one")
            return not refused[0]

        yield ask


ALL_TYPES = [
    *("INTEGER", "SMALLINT", "BIGINT", "INT UNSIGNED", "BOOLEAN", "NUMERIC(10, 2)"),
    *("NUMERIC(30,4)", "DECIMAL", "FLOAT", "DOUBLE PRECISION", "VARCHAR", "VARCHAR(3)"),
    *("CHARACTER VARYING(3)", "TEXT", "BLOB", "VARBINARY(2)", "DATE", "DATETIME", "TIMESTAMP(6)"),
    *("TIME", "TIMESTAMP WITH TIME ZONE", "JSON", "JSONB"),
]


@pytest.mark.parametrize("declared", ALL_TYPES)
@pytest.mark.parametrize("real", [None, "postgresql", "mysql"])
def test_every_type_takes_null(takes: Takes, declared: str, real: RealEngine | None):
    assert rule(declared, real) is not None
    assert takes(declared, None, real)


@pytest.mark.parametrize("declared", ["", "POINT", "my type", "INTERVAL", "UUID", "ENUM"])
def test_of_other_types_nothing_is_refused(declared: str):
    assert rule(declared, None) is None


@pytest.mark.parametrize(
    ("declared", "lowest", "highest"),
    [
        ("TINYINT(1)", -128, 127),
        ("TINYINT UNSIGNED", 0, 255),
        ("SMALLINT", -32768, 32767),
        ("MEDIUMINT", -(2**23), 2**23 - 1),
        ("INTEGER", -(2**31), 2**31 - 1),
        ("int unsigned", 0, 2**32 - 1),
        ("SERIAL", -(2**31), 2**31 - 1),
    ],
)
def test_the_ends_of_whole_numbers(takes: Takes, declared: str, lowest: int, highest: int):
    assert [takes(declared, value) for value in (lowest, highest)] == [True, True]
    assert [takes(declared, value) for value in (lowest - 1, highest + 1)] == [False, False]


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("INTEGER", "12"),  # becomes a number, as in the real engines
        ("INTEGER", 2.0),
        ("BIGINT", -(2**63)),
        ("BIGINT", 2**63 - 1),
        ("UNSIGNED BIG INT", 2**63 - 1),
        ("BOOLEAN", True),
        ("NUMERIC(6,2)", "12.50"),
        ("NUMERIC(6,2)", 9999.994),  # rounded
        ("NUMERIC(6,2)", -9999.99),
        ("NUMERIC(2,2)", 0.99),
        ("NUMERIC(20,2)", 999999999999999999.99),
        ("NUMERIC", 1e300),
        ("FLOAT", "1.5"),
        ("VARCHAR(3)", "äöü"),
        ("VARCHAR(3)", "abc  "),  # the blanks are cut off
        ("VARCHAR(3)", 123),
        ("VARCHAR", "x" * 100_000),
        ("TEXT", "x" * 100_000),
        ("VARBINARY(2)", b"ab"),
        ("BLOB", b""),
        ("DATE", "2024-02-29"),
        ("DATETIME", "2024-02-29"),
        ("DATETIME", "2024-02-29 23:59"),
        ("DATETIME", "2024-02-29 23:59:59.123456"),
        ("DATETIME", "2024-02-29T23:59:59.123456+01:00"),
        ("TIMESTAMP", "2024-02-29T23:59:59Z"),
        ("TIME", "23:59"),
        ("TIME", "23:59:59.5"),
        ("JSON", "null"),
        ("JSON", "5"),
        ("JSON", '{"a": [1, "b"]}'),
        ("JSONB", b"\x8c"),
    ],
)
def test_taken(takes: Takes, declared: str, value: object):
    assert takes(declared, value)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("INTEGER", "twelve"),
        ("INTEGER", "12a"),
        ("INTEGER", 1.5),
        ("INTEGER", b"1"),
        ("INTEGER", ""),
        ("BIGINT", 1e30),
        ("BIGINT UNSIGNED", -1),
        ("BOOLEAN", 2),
        ("BOOLEAN", "true"),
        ("NUMERIC(6,2)", 10_000),
        ("NUMERIC(6,2)", -10_000),
        ("NUMERIC(6,2)", 9999.996),
        ("NUMERIC(2,2)", 1),
        ("NUMERIC(6,2)", "much"),
        ("NUMERIC(6,2)", float("inf")),
        ("NUMERIC(30,4)", 1e27),
        ("NUMERIC(30,4)", "much"),
        ("NUMERIC", "much"),
        ("FLOAT", "much"),
        ("VARCHAR(3)", "abcd"),
        ("VARCHAR(3)", "abc d"),
        ("VARCHAR(3)", b"abc"),
        ("TEXT", b"abc"),
        ("BLOB", "text"),
        ("BLOB", 5),
        ("VARBINARY(2)", b"abc"),
        ("DATE", "2023-02-29"),
        ("DATE", "2023-2-3"),
        ("DATE", "03.02.2023"),
        ("DATE", "2023-02-03 10:00:00"),
        ("DATE", "now"),
        ("DATE", ""),
        ("DATE", 20230203),
        ("DATETIME", "2023-02-29 10:00:00"),
        ("DATETIME", "2023-02-03 25:00:00"),
        ("DATETIME", "2023-02-03 10:00:00 or so"),
        ("DATETIME", "0000-00-00 00:00:00"),
        ("DATETIME", "10:00:00"),
        ("DATETIME", "now"),
        ("DATETIME", 1700000000),
        ("DATETIME", 2460000.5),
        ("TIME", "25:00:00"),
        ("TIME", "now"),
        ("TIME", "2023-02-03 10:00:00"),
        ("TIME", 10),
        ("JSON", "{"),
        ("JSON", "NaN"),
        ("JSON", ""),
        ("JSON", b"{}"),
        ("JSONB", "{"),
    ],
)
def test_refused(takes: Takes, declared: str, value: object):
    assert not takes(declared, value)


@pytest.mark.parametrize(
    ("declared", "value", "postgresql", "mysql"),
    [
        ("BOOLEAN", 2, False, True),
        ("BOOLEAN", 200, False, False),
        ("TEXT", "x" * 65_535, True, True),
        ("TEXT", "ä" * 32_768, True, False),
        ("TINYTEXT", "x" * 256, True, False),
        ("LONGTEXT", "x" * 70_000, True, True),
        ("NUMERIC", 10**10, True, False),
    ],
)
def test_where_the_real_engines_differ(
    takes: Takes, declared: str, value: object, postgresql: bool, mysql: bool
):
    assert takes(declared, value, "postgresql") is postgresql
    assert takes(declared, value, "mysql") is mysql
