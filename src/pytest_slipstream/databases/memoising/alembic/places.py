"""Databases that Alembic migrates, as an operation that is memoised needs them.

The invariant: two databases with the same keys look alike to all that a migration can ask them.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import msgspec
from sqlalchemy.engine import Connection

from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.memoising import sqlite
from pytest_slipstream.databases.memoising.alembic.statements import Statement
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.postgresql.places import told
from pytest_slipstream.databases.memoising.postgresql.state import read
from pytest_slipstream.databases.memoising.sqlalchemy.sessions import (
    SqlalchemySession,
    refuse_driver,
)
from pytest_slipstream.databases.memoising.sqlalchemy.sqlite_drivers import on_driver


class Looks(msgspec.Struct, frozen=True):
    """A database before an operation: its schema and versions, and the rows of all other tables,
    None where there are none. ``rows_matter``: also to a DROP. ``is_inside``: the driver is in a
    transaction, so that there can be no image."""

    schema: Hashable
    rows: Hashable
    rows_matter: bool = False
    is_inside: bool = False


class Image(msgspec.Struct, frozen=True):
    """All of a database on SQLite after an operation. ``rows`` are those of other tables than that
    of versions; ``is_bare``: there are no other tables."""

    pages: sqlite3.Connection
    rows: tuple[tuple[object, ...], ...]
    is_bare: bool

    def content(self) -> dict[str, str]:
        """All that it holds, each to a digest."""
        return content.digest(self.pages)


class Place(ABC):
    """One database, over the connection that is migrated."""

    product: str

    def __init__(self, connection: Connection, version_table: str) -> None:
        self.connection = connection
        self.version_table = version_table

    @abstractmethod
    def look(self) -> Looks:
        """What the operation will find.

        Raises:
            UnknownResultError: That cannot be known.
        """

    @abstractmethod
    def image(self) -> Image | None:
        """All of it after an operation, where that can be put into a database at once."""

    @abstractmethod
    def put(self, image: Image) -> bool:
        """Make it that; False where somebody is in the way."""

    @abstractmethod
    def content(self) -> dict[str, str]:
        """All that it holds, each to a digest."""

    @abstractmethod
    def rehearse(self, statements: Sequence[Statement]) -> dict[str, str]:
        """What it would hold after these statements, without their being done to it."""

    def perform(self, as_written: Callable[[], None], *, may_commit: bool) -> dict[str, str]:
        """Let migrations run; what `rehearse` would have told, had it known them."""
        as_written()
        return self.content()

    def replay(self, statements: Sequence[Statement]) -> None:
        """Send these statements, as SQLAlchemy would."""
        for one in statements:
            if one.options:
                self.connection.exec_driver_sql(one.text, one.parameters, one.options)
            else:
                self.connection.exec_driver_sql(one.text, one.parameters)


class SqlitePlace(Place):
    """In memory or a file."""

    product = "SQLite"

    def __init__(self, connection: Connection, version_table: str) -> None:
        super().__init__(connection, version_table)
        self._on = on_driver(connection)

    def look(self) -> Looks:
        return self._on(partial(_look, version_table=self.version_table))

    def image(self) -> Image | None:
        copy = self._on(lambda database: None if database.in_transaction else copied(database))
        if copy is None:
            return None
        tables = set(sqlite.state_of(copy).tables) - {self.version_table, "sqlite_sequence"}
        rows = [
            row
            for table in tables
            for row in copy.execute(f"SELECT * FROM {content.quoted(table)}")
        ]
        return Image(copy, tuple(rows), is_bare=not tables)

    def put(self, image: Image) -> bool:
        def copy(database: sqlite3.Connection) -> bool:
            try:
                pages.copy(image.pages, database)
            except (sqlite3.Error, pages.BusyError):  # a cursor or another connection reads
                return False
            return True

        return self._on(copy)

    def content(self) -> dict[str, str]:
        return self._on(_content)

    def rehearse(self, statements: Sequence[Statement]) -> dict[str, str]:
        return self._on(partial(_rehearsed, statements=statements))


def _rehearsed(database: sqlite3.Connection, statements: Sequence[Statement]) -> dict[str, str]:
    """On a copy; inside of a transaction, of which there can be none, up to a savepoint."""
    if not database.in_transaction:
        copy = copied(database)
        _send(copy, statements)
        return content.digest(copy)
    database.execute("SAVEPOINT slipstream_memo")
    try:
        _send(database, statements)
        return _content(database)
    finally:
        database.execute("ROLLBACK TO slipstream_memo")
        database.execute("RELEASE slipstream_memo")


def _send(database: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    for one in statements:
        if isinstance(one.parameters, list):
            database.executemany(one.text, one.parameters)
        else:
            database.execute(one.text, one.parameters or ())


def copied(database: sqlite3.Connection) -> sqlite3.Connection:
    """A copy in memory.

    Raises:
        UnknownResultError: Somebody writes it.
    """
    copy = sqlite.copied(database)
    if copy is None:
        raise UnknownResultError("a database that somebody writes")
    return copy


def _look(database: sqlite3.Connection, version_table: str) -> Looks:
    state = sqlite.state_of(database, may_be_inside=True)
    is_inside = database.in_transaction
    cursor = database.cursor()
    cursor.row_factory = None
    versions: tuple[object, ...] = ()
    has_rows = False
    for table in state.tables:
        name = content.quoted(table)
        if table == version_table:
            versions = tuple(sorted(cursor.execute(f"SELECT * FROM main.{name}")))
        elif cursor.execute(f"SELECT 1 FROM main.{name} LIMIT 1").fetchone():
            has_rows = True
    rows = frozenset(_content(database).items()) if has_rows else None
    # How names in other objects follow an ALTER TABLE … RENAME.
    legacy = cursor.execute("PRAGMA legacy_alter_table").fetchone()
    enforced = bool(cursor.execute("PRAGMA foreign_keys").fetchone()[0])
    return Looks((state, legacy, versions, is_inside), rows, enforced, is_inside)


def _content(database: sqlite3.Connection) -> dict[str, str]:
    factory, database.row_factory = database.row_factory, None
    try:
        return content.digest(database)
    finally:
        database.row_factory = factory


class PostgresqlPlace(Place):
    """Over a connection that is in a transaction."""

    product = "PostgreSQL"

    def __init__(self, connection: Connection, version_table: str) -> None:
        super().__init__(connection, version_table)
        refuse_driver(connection)
        self.session = SqlalchemySession(connection)

    def look(self) -> Looks:
        state = read(self.session.rows)
        if state.problem or state.schema is None:
            raise UnknownResultError(state.problem or "a session without a schema")
        if not state.is_local(self.connection.engine.url.host):
            raise UnknownResultError("a server on another machine")
        versions = f"rows of {state.schema.name}.{self.version_table}"
        schema: list[tuple[str, str]] = []
        rows: list[tuple[str, str]] = []
        for key, value in self.content().items():
            is_row = key.startswith(("rows of ", "position of ")) and key != versions
            (rows if is_row else schema).append((key, value))
        of_schema = (state.schema.name, state.schema.owner, state.schema.rights)
        server = state.identity.rpartition(" ")[0]
        surroundings = (server, state.surroundings, of_schema, state.schema.comment)
        return Looks((surroundings, frozenset(schema)), frozenset(rows) or None)

    def image(self) -> None:
        return None

    def put(self, image: Image) -> bool:
        return False

    def content(self) -> dict[str, str]:
        try:
            from pytest_slipstream.databases.engines.postgresql import content
        except ModuleNotFoundError:
            raise UnknownResultError("psycopg, which is not installed") from None

        return told(content.digest_by(self.session.rows))

    def rehearse(self, statements: Sequence[Statement]) -> dict[str, str]:
        return self.rehearse_by(lambda: self.replay(statements))

    def rehearse_by(self, work: Callable[[], None]) -> dict[str, str]:
        """What it would hold after some work, which is undone."""
        self.session.run("SAVEPOINT slipstream_memo")
        work()
        found = self.content()
        self.session.run("ROLLBACK TO SAVEPOINT slipstream_memo")
        return found
