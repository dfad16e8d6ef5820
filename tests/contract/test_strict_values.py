"""Strict SQLite against PostgreSQL: of every listed type, both take the same values."""

from __future__ import annotations

import json
import re
import string
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy
from hypothesis import strategies as st
from sqlalchemy import exc

from pytest_slipstream.databases import engines, naming, urls
from pytest_slipstream.databases.engines.protocol import Engine, Owner, Slot
from pytest_slipstream.settings import DatabaseSettings

TYPES = {
    "small": "SMALLINT",
    "whole": "INTEGER",
    "big": "BIGINT",
    "flag": "BOOLEAN",
    "amount": "NUMERIC(6, 2)",
    "share": "NUMERIC(3, 3)",
    "measure": "DOUBLE PRECISION",
    "short": "VARCHAR(5)",
    "letter": "CHAR(1)",
    "words": "TEXT",
    "day": "DATE",
    "moment": "TIMESTAMP",
    "hour": "TIME",
    "document": "JSON",
}
SETTINGS = (
    DatabaseSettings(engine="sqlite", strict=True, stands_for="postgresql"),
    DatabaseSettings(engine="postgresql"),
)


@pytest.fixture(scope="module")
def connections(
    shared_cache_dir: Path, require_servers: None
) -> Iterator[list[sqlalchemy.Connection]]:
    """To a strict SQLite slot and to a PostgreSQL slot, with a table for each type."""
    script = "".join(f"CREATE TABLE {name} (value {kind});" for name, kind in TYPES.items())
    opened: list[tuple[Engine, Slot, sqlalchemy.Connection]] = []
    uid = uuid.uuid4().hex
    owner, template = Owner(testrun_uid=uid, worker="main"), naming.template_name("main", uid)
    for settings in SETTINGS:
        engine = engines.load("main", settings, cache_dir=shared_cache_dir, owner=owner)
        engine.open(lambda message: None)
        with engine.build_lock(template):
            engine.run_script(engine.begin_build(template), script)
            engine.publish(template, "main", uid)
        slot = engine.create_slot(naming.slot_name(uid, "main", "main"), template)
        connection = sqlalchemy.create_engine(urls.url(slot.address)).connect()
        opened.append((engine, slot, connection))
    yield [connection for _, _, connection in opened]
    for engine, slot, connection in opened:
        connection.close()
        connection.engine.dispose()
        slot.close()
        engine.drop_template(template)
        engine.close()


def takes(connection: sqlalchemy.Connection, table: str, value: Any) -> bool:
    with connection.begin() as transaction:
        try:
            connection.execute(
                sqlalchemy.text(f"INSERT INTO {table} VALUES (:value)"), {"value": value}
            )
        except (exc.DBAPIError, OverflowError):  # sqlite3 has no number of more than 64 bits
            return False
        finally:
            transaction.rollback()
    return True


def number(digits: int, low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda number: f"{number:0{digits}}")


def joined(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    texts = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*texts).map("".join)


WORD = st.text(string.ascii_lowercase, max_size=6).map(lambda word: "x" + word)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
DAY = joined(number(4, 1, 9999), "-", number(2, 0, 13), "-", number(2, 0, 32))
FRACTION = st.sampled_from(["", ".5", ".123456"])
# PostgreSQL also has 24:00:00 and the 60th second.
HOUR = joined(
    number(2, 0, 23) | number(2, 25, 30), ":", number(2, 0, 61), ":", number(2, 0, 59), FRACTION
)
WHOLE = st.integers(-(2**66), 2**66) | st.sampled_from(
    [sign * 2**bits - less for sign in (1, -1) for bits in (15, 31, 63) for less in (-1, 0, 1)]
)
DECIMAL = (
    st.decimals(-20_000, 20_000, places=3).map(str)
    | st.decimals(-2, 2, places=4).map(str)
    | st.sampled_from(["9999.994", "9999.995", "-9999.996", "0.9994", "0.9995", "-1"])
)
DOCUMENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
VALUES = {
    **dict.fromkeys(("small", "whole", "big"), WHOLE | WORD),
    "flag": st.booleans() | WORD,
    **dict.fromkeys(("amount", "share"), DECIMAL | WORD),
    "measure": st.floats(allow_nan=False) | WORD,
    **dict.fromkeys(("short", "letter", "words"), TEXT | TEXT.map(lambda text: text + "  ")),
    "day": DAY | WORD,
    "moment": joined(DAY, st.sampled_from(" T"), HOUR) | DAY | WORD,
    "hour": HOUR | WORD,
    # A JSON column has numeric affinity: the text '00' becomes 0 before any trigger sees it.
    "document": DOCUMENT
    | st.text('{}[]":,01 \nnul', max_size=6).filter(lambda text: not re.search(r"0\d", text)),
}
PAIRS = st.one_of(
    *(st.tuples(st.just(table), values | st.none()) for table, values in VALUES.items())
)


@hypothesis.given(pair=PAIRS)
def test_both_take_the_same_values(connections: list[sqlalchemy.Connection], pair: tuple[str, Any]):
    table, value = pair
    strict, postgresql = (takes(connection, table, value) for connection in connections)
    assert strict is postgresql, f"{TYPES[table]}: strict {strict}, PostgreSQL {postgresql}"
