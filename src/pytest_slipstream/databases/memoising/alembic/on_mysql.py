"""Databases of MariaDB that Alembic migrates.

A statement on the schema commits there, so nothing can be tried and undone. The invariant: what is
sent again are the statements that the migrations would send, which is what the check compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy.engine import Connection

from pytest_slipstream.databases.memoising.alembic.places import Looks, Place
from pytest_slipstream.databases.memoising.alembic.statements import Recorder, Statement
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.catalogue import Catalogue
from pytest_slipstream.databases.memoising.mysql.on_mysql import PRODUCT, OnMysql
from pytest_slipstream.databases.memoising.mysql.place import Place as Database
from pytest_slipstream.databases.memoising.sqlalchemy.sessions import SqlalchemySession


class MysqlPlace(Place):
    """Over a connection that is in no transaction of the server's."""

    product = PRODUCT

    def __init__(self, connection: Connection, version_table: str, on_mysql: OnMysql) -> None:
        super().__init__(connection, version_table)
        if not hasattr(connection.dialect, "loaded_dbapi"):
            raise UnknownResultError("SQLAlchemy before version 2")
        driver = connection.connection.driver_connection
        self.places, self.caller = on_mysql.enter(SqlalchemySession(connection), driver)
        if self.caller.is_in_transaction:
            raise UnknownResultError("an open transaction")
        self.found = Catalogue({})
        self.versions: tuple[str, ...] = ()

    def look(self) -> Looks:
        caller = self.caller
        with self.places.at(caller) as database:
            database.drop()  # somebody's whose drop is put off
            self.found = found = database.read()
            if found.problem:
                raise UnknownResultError(found.problem)
            self.versions = versions_in(database, self.version_table)
            others = tuple(name for name in found.tables if name != self.version_table)
            now = database.rows(others)
            rows = self._rows(database) if now.filled or now.positions else None
        key = (caller.server, caller.database, caller.surroundings)
        return Looks((key, frozenset(found.objects.items()), self.versions), rows)

    def _rows(self, database: Database) -> frozenset[tuple[str, str]]:
        own = {f"rows of {self.version_table}"}
        return frozenset(
            (key, value)
            for key, value in database.content().items()
            if key.startswith(("rows of ", "next number of ")) and key not in own
        )

    def image(self) -> None:
        return None

    def put(self, image: object) -> bool:
        return False

    def content(self) -> dict[str, str]:
        with self.places.at(self.caller) as database:
            return database.content()

    def rehearse(self, statements: Sequence[Statement]) -> dict[str, str]:
        return _told(statements)

    def perform(self, as_written: Callable[[], None], *, may_commit: bool) -> dict[str, str]:
        with Recorder(self.connection, may_commit=may_commit) as recorded:
            as_written()
        sent = _told(
            one for one in recorded.statements if not one.is_read(PRODUCT, self.version_table)
        )
        return sent if recorded.problem is None else {**sent, "problem": recorded.problem}


def versions_in(database: Database, table: str) -> tuple[str, ...]:
    """The versions that migrations have noted."""
    found = database.all_rows(table) if table in database.read().tables else []
    return tuple(sorted(str(row[0]) for row in found))


def _told(statements: Iterable[Statement]) -> dict[str, str]:
    return {
        f"statement {number}": repr((one.text, one.parameters, one.options))
        for number, one in enumerate(statements, 1)
    }
