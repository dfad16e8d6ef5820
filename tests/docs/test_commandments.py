"""The tables of the guide to strict SQLite, each line on each database that it speaks of."""

from __future__ import annotations

import importlib
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from pytest_slipstream.databases import engines, naming
from pytest_slipstream.databases.engines.protocol import Owner
from pytest_slipstream.databases.engines.sqlite.connections import StrictConnections
from pytest_slipstream.databases.servers.mysql_binaries import find_binaries
from pytest_slipstream.settings import DatabaseSettings
from pytest_slipstream.settings.database_model import EngineName

PAGE = (Path(__file__).parents[2] / "docs/guides/strict-sqlite.md").read_text(encoding="utf-8")
DATABASES = {
    "SQLite": {"engine": "sqlite"},
    "strict": {"engine": "sqlite", "strict": True},
    "strict, for MySQL": {"engine": "sqlite", "strict": True, "stands_for": "mysql"},
    "PostgreSQL": {"engine": "postgresql"},
    "MariaDB": {"engine": "mysql"},
}
# What the page says of MySQL, which the tests run on where `SLIPSTREAM_MYSQL_BIN` names it.
OTHERWISE_ON_MYSQL = {
    "'30.04.2023'": "2030-04-20",
    "SELECT count(*) FROM customers WHERE name = 'Ann '": "0",
    "SELECT name, count(*) FROM customers GROUP BY age": "refused",
}
VALUES, *STATEMENTS = re.findall(r"(?m)^\| (?:type|statement) .*\n(?:\|.*\n)+", PAGE)


def lines(table: str) -> list[dict[str, str]]:
    """A table of the page, as a dictionary for each line."""
    header, _, *rest = (
        [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
        for line in table.replace("|\n", "\n").splitlines()
    )
    return [dict(zip(header, cells, strict=True)) for cells in rest]


def script() -> str:
    """The page's own tables, and one for each type of the other table."""
    found = re.search(r"-- customers\.sql\n(.*?)```", PAGE, re.DOTALL)
    assert found
    types = enumerate(line["type"] for line in lines(VALUES))
    own = (f"CREATE TABLE v{n} (id INTEGER PRIMARY KEY, value {kind} NULL);" for n, kind in types)
    return found[1] + "\n".join(own)


Connect = Callable[[], Any]


@pytest.fixture(scope="module", params=DATABASES)
def database(
    request: pytest.FixtureRequest, shared_cache_dir: Path
) -> Iterator[tuple[str, Connect]]:
    """The title of a column, and what connects to its database as an application would."""
    values = DATABASES[request.param]
    if values["engine"] not in get_args(EngineName):
        pytest.skip("this version has no such engine")
    if values["engine"] != "sqlite":
        request.getfixturevalue("require_servers")
    settings = msgspec.convert(values, DatabaseSettings)
    uid = uuid.uuid4().hex
    owner = Owner(testrun_uid=uid, worker="main")
    engine = engines.load("main", settings, cache_dir=shared_cache_dir, owner=owner)
    engine.open(lambda message: None)
    template = naming.template_name("main", uid)
    with engine.build_lock(template):
        engine.run_script(engine.begin_build(template), script())
        engine.publish(template, "main", uid)
    slot = engine.create_slot(naming.slot_name(uid, "main", "main"), template)

    def connect() -> Any:
        connection = engine.connect(slot.address)
        if settings.strict:
            StrictConnections(settings.stands_for).opened(connection)
        return connection

    yield request.param, connect
    slot.close()
    engine.drop_template(template)
    engine.close()


def expected(line: dict[str, str], title: str, of: str) -> str:
    """What the page says."""
    if title == "MariaDB" and find_binaries(os.environ).flavour == "mysql":
        return OTHERWISE_ON_MYSQL.get(line[of], line[title])
    return line[title]


def outcome(connect: Connect, *statements: str) -> str:
    """What the last statement finds: its first value, ``done``, or ``refused``."""
    with closing(connect()) as connection:
        cursor = connection.cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
        except importlib.import_module(type(connection).__module__.split(".")[0]).Error:
            return "refused"
        return str(cursor.fetchone()[0]).strip() if cursor.description else "done"


@pytest.mark.parametrize("number", range(len(lines(VALUES))))
def test_a_value(database: tuple[str, Connect], number: int):
    title, connect = database
    line = lines(VALUES)[number]
    insert = f"INSERT INTO v{number} (id, value) VALUES (1, {line['value']})"
    assert outcome(connect, insert, f"SELECT value FROM v{number}") == expected(
        line, title, "value"
    )


@pytest.mark.parametrize(
    "line",
    [line for table in STATEMENTS for line in lines(table)],
    ids=lambda line: line["statement"],
)
def test_a_statement(database: tuple[str, Connect], line: dict[str, str]):
    title, connect = database
    assert outcome(connect, line["statement"]) == expected(line, title, "statement")


def test_no_table_was_overlooked():
    assert len(lines(VALUES)) > 15
    assert len(STATEMENTS) == 2
