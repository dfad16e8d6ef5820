"""A statement without what its literals, quoted names and comments say."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.routing.outline import outline


@pytest.mark.parametrize("engine", ["postgresql", "sqlite", "mysql"])
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("insert into t values ('a; end', 1)", "insert into t values (?, 1)"),
        ("select 'it''s; commit'; commit", "select ?; commit"),
        ('select "a; commit"', "select ?"),
        ("select 1 /* ; commit */; commit", "select 1  ; commit"),
        ("select 1; -- 'no literal\ncommit", "select 1;  \ncommit"),
        ("select ''; commit; select ''", "select ?; commit; select ?"),
    ],
)
def test_what_every_product_reads_alike(engine: str, sql: str, expected: str):
    assert outline(sql, engine) == expected


@pytest.mark.parametrize(
    ("engine", "sql", "expected"),
    [
        ("postgresql", "do $$ begin null; end $$", "do ?"),
        ("postgresql", "do $a$ $$; commit $a$; commit", "do ?; commit"),
        ("postgresql", r"select E'\'; commit'; commit", "select ?; commit"),
        ("postgresql", r"select '\'; commit", r"select ?; commit"),
        ("postgresql", "select $1; commit; select $1", "select $1; commit; select $1"),
        ("postgresql", "select a$b$; commit; select a$b$", "select a$b$; commit; select a$b$"),
        ("mysql", r"select '\'; commit'; commit", "select ?; commit"),
        ("mysql", "select `;commit`; commit", "select ?; commit"),
        ("mysql", "select 1 # it's\n; commit; select 'x'", "select 1  \n; commit; select ?"),
        ("mysql", "select 5--1; commit", "select 5--1; commit"),
        ("sqlite", "select [it's; end]; commit", "select ?; commit"),
    ],
)
def test_what_one_product_reads_so(engine: str, sql: str, expected: str):
    assert outline(sql, engine) == expected


@pytest.mark.parametrize(
    ("engine", "sql"),
    [
        ("postgresql", "select 'a; commit"),
        ("postgresql", "select 1 /* /* */ ; commit"),
        ("postgresql", "do $$ begin commit"),
        ("mysql", "select 1 /*! ; commit */"),
        ("sqlite", 'select "a; commit'),
    ],
)
def test_what_cannot_be_told_stays(engine: str, sql: str):
    assert outline(sql, engine) == sql
