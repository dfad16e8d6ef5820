"""A joined sqlite3 connection behaves as one of its own: the same program on both, step by step."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.entrance import Entrance
from pytest_slipstream.errors import IsolationError

MODES: dict[str, dict[str, Any]] = {
    "legacy": {},
    "immediate": {"isolation_level": "IMMEDIATE"},
    "none": {"isolation_level": None},
}
if sys.version_info >= (3, 12):
    MODES |= {"autocommit": {"autocommit": True}, "no autocommit": {"autocommit": False}}

STATEMENTS = (
    "INSERT INTO t (a) VALUES (1)",
    "INSERT INTO t (a) VALUES (1)",
    "INSERT INTO t (a) SELECT a + 1 FROM t",
    "INSERT INTO t (id, a) VALUES (1, 7)",
    "UPDATE t SET a = a + 1",
    "DELETE FROM t WHERE a > 3",
    "  -- a comment\n INSERT INTO t (a) VALUES (5)",
    "SELECT count(*) FROM t",
    "WITH x AS (SELECT 1) INSERT INTO t (a) SELECT * FROM x",
    "CREATE TABLE IF NOT EXISTS other (a)",
    "INSERT INTO other VALUES (1)",
    "INSERT INTO nowhere VALUES (1)",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "END TRANSACTION",
    "ROLLBACK",
    "SAVEPOINT one",
    "SAVEPOINT Two",
    'ROLLBACK TO "one"',
    "ROLLBACK TO SAVEPOINT two",
    "RELEASE one",
    "RELEASE SAVEPOINT TWO",
    "INSERT INTO child VALUES (1)",
    "INSERT INTO late VALUES (9)",
    "DELETE FROM late",
)
CALLS = ("commit", "rollback", "with", "with error", "many", "script", "script begin")
SCHEMA = """
    CREATE TABLE t (id INTEGER PRIMARY KEY, a);
    CREATE TABLE child (t REFERENCES t (id));
    CREATE TABLE late (t REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);
"""


@pytest.fixture
def entrance(tmp_path: Path) -> Generator[Entrance, None, None]:
    """A door with one slot behind it, whose connections may join."""
    path = tmp_path / "slot.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    door = Door(lambda event: None)
    found = door.add("main", Address(engine="sqlite", database="slot", path=str(path)))
    found.joining.possible = True
    found.on_connect(lambda each: sqlite3.Cursor(each).execute("PRAGMA foreign_keys = ON"))
    door.put_up()
    yield found
    found.joining.discard()
    door.take_down()


def step(connection: Any, what: str) -> Any:
    """The result of one step: rows, the kind of error, and whether a transaction is open."""
    try:
        if what in ("commit", "rollback"):
            result = getattr(connection, what)()
        elif what.startswith("with"):
            with connection:
                connection.execute("INSERT INTO t (a) VALUES (3)")
                if what == "with error":
                    connection.execute("INSERT INTO nowhere VALUES (1)")
            result = None
        elif what == "many":
            result = connection.executemany("INSERT INTO t (a) VALUES (?)", [(1,), (2,)]).rowcount
        elif what.startswith("script"):
            begin = "BEGIN;" if what == "script begin" else ""
            connection.executescript(f"{begin} INSERT INTO t (a) VALUES (1); SELECT 1;")
            result = None
        else:
            result = connection.execute(what).fetchall()
    except sqlite3.Error as error:
        result = type(error)
    return result, connection.in_transaction, content(connection)


def content(connection: Any) -> Any:
    cursor = connection.cursor()
    return [cursor.execute(f"SELECT * FROM {table}").fetchall() for table in ("t", "child", "late")]


def steps(mode: str) -> st.SearchStrategy[list[str]]:
    """Programs; with autocommit=False, Python's manual asks not to control transactions by text."""
    control = ("BEGIN", "COMMIT", "END", "ROLLBACK")
    by_text = [sql for sql in STATEMENTS if sql.split()[0] in control and " TO " not in sql]
    without = by_text if mode == "no autocommit" else []
    steps = [step for step in STATEMENTS + CALLS if step not in (*without, "script begin")]
    return st.lists(st.sampled_from(steps if without else STATEMENTS + CALLS), max_size=12)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_program_on_both(mode: str, entrance: Entrance) -> None:
    @settings(
        max_examples=max(20, settings().max_examples // 2),
        suppress_health_check=list(HealthCheck),
    )
    @given(steps(mode))
    @example(["SAVEPOINT one", "INSERT INTO late VALUES (9)", "RELEASE one", "ROLLBACK TO one"])
    def check(program: list[str]) -> None:
        own_path = Path(entrance.address.path).with_suffix(".own")
        own_path.unlink(missing_ok=True)
        with closing(sqlite3.connect(own_path)) as made:
            made.executescript(SCHEMA)
        # Without a cache of statements, by which a transaction begins before one that is not valid
        # any more, but was.
        own = sqlite3.connect(own_path, isolation_level=None, cached_statements=0)
        own.execute("PRAGMA foreign_keys = ON")
        own.isolation_level = ""
        for name, value in MODES[mode].items():
            setattr(own, name, value)
        joined = sqlite3.connect(entrance.address.path, cached_statements=0, **MODES[mode])
        entrance.joining.begin("test")
        try:
            for what in program:
                assert step(joined, what) == step(own, what), what
            assert isinstance(joined, sqlite3.Connection)
            own.close()
            joined.close()
            with closing(sqlite3.connect(own_path)) as other:
                expected = content(other)
            with closing(sqlite3.connect(entrance.address.path)) as another:
                assert content(another) == expected
        finally:
            entrance.joining.end()
        with closing(sqlite3.Connection(entrance.address.path)) as outside:
            assert content(outside) == [[], [], []]

    check()


def test_what_is_registered_is_there(entrance: Entrance) -> None:
    class Connection(sqlite3.Connection):
        def hello(self) -> str:
            return "hello"

    entrance.joining.begin("test")
    connection = sqlite3.connect(entrance.address.path, factory=Connection)
    connection.create_function("twice", 1, lambda value: 2 * value)
    connection.create_collation("backwards", lambda a, b: (a < b) - (a > b))
    connection.row_factory = sqlite3.Row
    connection.text_factory = bytes
    row = connection.execute("SELECT twice(21) AS answer, 'x' AS text").fetchone()
    assert (row["answer"], row["text"]) == (42, b"x")
    assert type(connection).__name__ == "Connection"
    assert connection.hello() == "hello"
    cursor = connection.cursor()
    assert cursor.connection is connection
    cursor.execute("INSERT INTO t (a) VALUES (1)")
    assert (cursor.lastrowid, cursor.rowcount) == (1, 1)
    copy = sqlite3.connect(":memory:")
    with pytest.raises(IsolationError, match=r"it makes a copy by backup\(\)"):
        connection.backup(copy)
    connection.commit()
    connection.backup(copy)
    assert copy.execute("SELECT a FROM t").fetchall() == [(1,)]
    copy.close()
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    entrance.joining.end()


def test_an_error_that_ends_the_whole_transaction_is_told(entrance: Entrance) -> None:
    connection = sqlite3.connect(entrance.address.path, isolation_level=None)
    entrance.joining.begin("test")
    connection.execute("INSERT INTO t (id, a) VALUES (1, 1)")
    with pytest.raises(IsolationError, match="they are lost"):
        connection.execute("INSERT OR ROLLBACK INTO t (id, a) VALUES (1, 2)")
    entrance.joining.end()
    connection.close()


def test_the_door_is_taken_down(tmp_path: Path) -> None:
    before = sqlite3.connect, sqlite3.dbapi2.connect
    door = Door(lambda event: None)
    door.add("main", Address(engine="sqlite", database="slot", path=str(tmp_path / "x")))
    door.put_up()
    assert sqlite3.connect is not before[0]
    door.take_down()
    assert (sqlite3.connect, sqlite3.dbapi2.connect) == before


def test_what_a_pragma_writes_into_the_file_goes_with_the_test(entrance: Entrance) -> None:
    entrance.joining.begin("test")
    first, second = (sqlite3.connect(entrance.address.path, timeout=0) for _ in range(2))
    first.execute("INSERT INTO t (a) VALUES (1)")
    first.commit()
    second.execute("PRAGMA user_version = 7")  # on a connection of its own it would be locked out
    assert first.execute("PRAGMA user_version").fetchone() == (7,)
    assert entrance.joining.active
    entrance.joining.end()
    with closing(sqlite3.connect(entrance.address.path)) as after:
        assert after.execute("PRAGMA user_version").fetchone() == (0,)
    first.close()
    second.close()
