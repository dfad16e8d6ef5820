"""The random programs that are run on slots, as frozen values, and how they are made up.

A program is a list of steps: tests that write on up to three connections and leave some of them
open, layers that are pushed and popped between them.
"""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st
from tests.contract.conftest import Product

CONNECTIONS = 3
NAMES = st.sampled_from(["admin", "ann", "new", "näïve; 'x", ""])
NUMBERS = st.integers(-1, 5)
QUOTED = '"odd ""Name"'
STATEMENTS = (
    "INSERT INTO roles (name) VALUES ({name})",
    "INSERT INTO roles (id, name) VALUES ({n}, {name})",
    "UPDATE roles SET name = name || {name} WHERE id > {n}",
    "UPDATE roles SET id = id + {n}",
    "DELETE FROM roles WHERE id >= {n}",
    "INSERT INTO users (role_id, name, score) VALUES ({n}, {name}, {m})",
    "UPDATE users SET score = {n}, name = {name} WHERE id <> {m}",
    "UPDATE users SET role_id = {n}",
    "DELETE FROM users",
    "DELETE FROM users WHERE id = {n}",
    "INSERT INTO pairs VALUES ({n}, {m}, {name})",
    "UPDATE pairs SET a = {n} WHERE b = {m}",
    "DELETE FROM pairs WHERE a < {n}",
    f"INSERT INTO {QUOTED} VALUES ({{name}}, NULL)",
    f"DELETE FROM {QUOTED} WHERE payload IS NOT NULL",
    f"INSERT INTO {QUOTED} SELECT * FROM {QUOTED}",
    "SELECT * FROM users, roles, pairs",
    "SAVEPOINT one",
    "SAVEPOINT one",
    "ROLLBACK TO SAVEPOINT one",
    "RELEASE SAVEPOINT one",
)
DEFINITIONS = (
    "CREATE TABLE extra_{k} ({identity}, name text)",
    "INSERT INTO extra_{k} (name) VALUES ({name})",
    "DROP TABLE extra_{k}",
    "DROP TABLE pairs",
    "DROP TABLE users",
    f"DROP TABLE {QUOTED}",
    "DROP VIEW admins",
    "ALTER TABLE users ADD COLUMN extra_{k} integer DEFAULT {n}",
    "ALTER TABLE pairs RENAME COLUMN note TO remark",
    "ALTER TABLE log RENAME TO protocol",
    "CREATE INDEX extra_index ON roles (name)",
    "DROP INDEX users_by_name",
    "CREATE VIEW extra_view AS SELECT name FROM roles",
)


@dataclasses.dataclass(frozen=True)
class Statement:
    """One statement on one of the connections; ``read`` rows of its result are fetched."""

    connection: int
    sql: str
    read: int | None = None


@dataclasses.dataclass(frozen=True)
class End:
    """Commit, roll back or close a connection."""

    connection: int
    how: str


@dataclasses.dataclass(frozen=True)
class Test:
    """What a test does; ``left_open`` says whether its connections outlive it."""

    __test__ = False

    actions: tuple[Statement | End, ...]
    left_open: bool


@dataclasses.dataclass(frozen=True)
class Push:
    """What a wider fixture commits, and then its layer."""

    actions: tuple[Statement | End, ...]


@dataclasses.dataclass(frozen=True)
class Pop:
    """A layer ends that has up to ``depth`` others above it."""

    depth: int


def actions(product: Product) -> st.SearchStrategy[tuple[Statement | End, ...]]:
    """Lists of statements and transaction ends."""
    # Definitions are rarer: with one in every program, nothing would ever be reset.
    template = st.one_of(
        st.sampled_from(STATEMENTS),
        st.sampled_from(STATEMENTS),
        st.sampled_from(STATEMENTS + product.more_statements),
        st.sampled_from(STATEMENTS + product.more_statements + DEFINITIONS),
    )
    sql = st.builds(
        lambda text, name, n, m, k: text.format(
            name="'" + name.replace("'", "''") + "'", n=n, m=m, k=k, identity=product.identity
        ),
        template,
        NAMES,
        NUMBERS,
        NUMBERS,
        st.integers(1, 2),
    )
    connection = st.integers(0, CONNECTIONS - 1)
    statement = st.builds(Statement, connection, sql, st.sampled_from([None, None, 0, 1]))
    end = st.builds(End, connection, st.sampled_from(["commit", "commit", "rollback", "close"]))
    return st.lists(st.one_of(statement, statement, end), max_size=12).map(tuple)


def programs(product: Product) -> st.SearchStrategy[list[Test | Push | Pop]]:
    """Programs of a few tests and layers."""
    step = actions(product)
    test = st.builds(Test, step, st.booleans())
    return st.lists(
        st.one_of(test, test, test, st.builds(Push, step), st.builds(Pop, st.integers(0, 1))),
        min_size=1,
        max_size=6,
    )


# Programs that found something once.

# A layer of all tables, one of which has nothing but its history (MariaDB).
ONLY_HISTORY = [
    Push((Statement(0, "DELETE FROM versions"), Statement(0, "CREATE TABLE extra (a integer)"))),
    Test((Statement(0, "DROP TABLE extra"),), left_open=False),
]
# Two connections in a transaction, one of which closes although the other has written since.
CLOSING = [
    Test(
        (
            Statement(0, "DELETE FROM users"),
            Statement(1, "INSERT INTO roles (name) VALUES ('ann')"),
            End(0, "close"),
        ),
        left_open=False,
    ),
    Test((Statement(1, "INSERT INTO roles (name) VALUES ('new')"),), left_open=True),
]
# One that goes on in a transaction that has failed, after the other has written.
GOING_ON = [
    Test(
        (
            Statement(0, "INSERT INTO roles (name) VALUES ('admin')"),
            Statement(1, "INSERT INTO roles (name) VALUES ('ann')"),
            Statement(0, "ROLLBACK TO SAVEPOINT one"),
            Statement(0, "INSERT INTO roles (name) VALUES ('admin')"),
            Statement(1, "INSERT INTO roles (name) VALUES ('admin')"),
        ),
        left_open=False,
    )
]
# A layer of a table that MySQL will number on differently, once it has opened it again.
HIDDEN_NUMBER = [Push((Statement(0, "INSERT INTO roles (id, name) VALUES (4, 'admin')"),))]
