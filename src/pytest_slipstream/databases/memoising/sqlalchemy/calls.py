"""SQLAlchemy's ``create_all`` and ``drop_all``, each done once and afterwards restored.

The invariant: whatever is not known for certain goes to SQLAlchemy's own method, with the bind that
the caller gave, or with the connection that the method would have made of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import MetaData, Table
from sqlalchemy.engine import Connection, Engine

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising import sqlite
from pytest_slipstream.databases.memoising.attempts import Attempts
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.first_calls import Seen
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.mysql.on_mysql import PRODUCT, OnMysql
from pytest_slipstream.databases.memoising.operations import Operation
from pytest_slipstream.databases.memoising.postgresql.places import Places, PostgresqlCheck
from pytest_slipstream.databases.memoising.postgresql.state import State
from pytest_slipstream.databases.memoising.sqlalchemy.known import Known
from pytest_slipstream.databases.memoising.sqlalchemy.sessions import (
    SqlalchemySession,
    enter,
    refuse_statements,
)
from pytest_slipstream.databases.memoising.sqlalchemy.snapshot import DialectKeys
from pytest_slipstream.databases.memoising.sqlalchemy.sqlite_drivers import on_driver
from pytest_slipstream.databases.memoising.worth import Worth

Learn = Callable[[], None]
"""Keeps what an operation came to, after it has run as it is written."""

Way = Callable[[Any, Connection, Known], Learn | State | None]
PRODUCTS = {
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "mysql": PRODUCT,
    "mariadb": PRODUCT,
}
NAMES = ("create_all", "drop_all")
KEPT = 16
"""How many metadatas are remembered, each with its copy, its results and their images."""
_STATEMENTS = ("before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute")
_OWN = f"{__name__.partition('.')[0]}."
_CURSORS = ("do_execute", "do_execute_no_params")


class Call(msgspec.Struct, frozen=True):
    """One call of a method of a metadata."""

    name: str
    original: Callable[..., None]
    metadata: MetaData
    tables: tuple[Table, ...] | None
    checkfirst: Any
    product: str

    @property
    def label(self) -> str:
        """What the summary calls it."""
        return f"{self.name} on {PRODUCTS.get(self.product, self.product)}"

    @property
    def operation(self) -> tuple[object, ...]:
        """What its result depends on, beside the metadata and the database."""
        names = None if self.tables is None else tuple(table.key for table in self.tables)
        return (self.name, names, self.checkfirst)

    def as_written(self, bind: Any) -> None:
        """Let SQLAlchemy do it."""
        tables = None if self.tables is None else list(self.tables)
        self.original(self.metadata, bind, tables=tables, checkfirst=self.checkfirst)


class MetadataCalls:
    """Stands in for the two methods from `put_up` to `take_down`."""

    def __init__(self, ledger: Ledger, checking: Checking, on_mysql: OnMysql, seen: Seen) -> None:
        self._ledger = ledger
        self._checking = checking
        self._on_mysql = on_mysql
        self._seen = seen
        self._attempts = Attempts(ledger, checking)
        self._worths: WeakKeyDictionary[MetaData, dict[Hashable, Worth]] = WeakKeyDictionary()
        self._known: dict[tuple[int, object], Known] = {}
        self._dialects = DialectKeys()
        self._places = Places()
        self._originals: dict[str, Callable[..., None]] = {}

    def put_up(self) -> None:
        """Replace the methods."""
        for name in NAMES:
            self._originals[name] = original = vars(MetaData)[name]
            setattr(MetaData, name, self._replacement(name, original))

    def take_down(self) -> None:
        """Put them back."""
        for name, original in self._originals.items():
            setattr(MetaData, name, original)
        self._originals.clear()
        self._places.leave()

    def _replacement(self, name: str, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def replacement(
            metadata: MetaData, bind: Any = None, tables: Any = None, checkfirst: Any = True
        ) -> None:
            chosen = None if tables is None else tuple(tables)
            dialect = getattr(bind, "dialect", None)
            product = "its own bind" if dialect is None else dialect.name
            call = Call(name, original, metadata, chosen, checkfirst, product)
            if product not in PRODUCTS:
                self._ledger.as_written(call.label, "another product")
                call.as_written(bind)
            elif isinstance(bind, Engine):
                with bind.begin() as connection:
                    after = self._run(call, connection)
                if after is not None:
                    self._places.expect(after, is_alone=_is_unheard(bind))
            elif isinstance(bind, Connection):
                begin_by_itself(bind)
                after = self._run(call, bind)
                if after is not None:
                    self._places.expect(after, is_alone=False)
            else:
                call.as_written(bind)

        return replacement

    def _run(self, call: Call, connection: Connection) -> State | None:
        """Replace the call, or let it run and learn from it.

        Returns:
            The state of the database when a transaction that does nothing else has ended.
        """
        started = clock.seconds()
        if self._seen.is_new(call.name, call.metadata):
            call.as_written(connection)
            self._ledger.made(call.label, clock.seconds() - started)
            return None
        attempt = self._attempts.begin(call.label, self._worth_of(call), call.operation)
        if attempt is None:
            call.as_written(connection)
            return None
        ways: dict[str, Way] = {
            "sqlite": self._run_sqlite,
            "postgresql": self._run_postgresql,
        }
        run = ways.get(call.product, self._run_mysql)
        unknown = None
        try:
            refuse_listeners(connection)
            known = self._known_of(call.metadata, connection.dialect)
            known.prepare(connection.dialect, call.name, call.tables)
            outcome = run(call, connection, known)
        except UnknownResultError as reason:
            unknown = str(reason)
        if unknown is not None:
            attempt.refused(unknown)
            with attempt.writing():
                call.as_written(connection)
            return None
        if outcome is None or isinstance(outcome, State):
            attempt.replaced()
            return outcome
        with attempt.writing():
            call.as_written(connection)
        outcome()
        attempt.made()
        return None

    def _run_sqlite(self, call: Call, connection: Connection, known: Known) -> Learn | None:
        on = on_driver(connection)
        check = self._checking.begin(call, on)
        before = on(lambda database: sqlite.redo(database, call.operation, known.results))
        if before is None:
            check()
            return None
        return lambda: on(
            lambda database: sqlite.record(database, call.operation, before, known.results)
        )

    def _run_postgresql(self, call: Call, connection: Connection, known: Known) -> Learn | State:
        session, state = enter(self._places, connection, call.metadata)
        key = (state.identity, state.surroundings, call.operation[1])
        parking = known.parkings.setdefault(key, self._places.parking())
        operation = Operation(call.name == "create_all", call.operation)
        check = PostgresqlCheck(session, functools.partial(self._checking.is_due, call.label))
        started = clock.seconds()
        before = parking.redo(session, state, operation, check)
        restoring_s = clock.seconds() - started
        if isinstance(before, State):
            return before

        def learn() -> None:
            parking.record(session, operation, before)
            if before.restored is not None:
                self._ledger.replaced(call.label, restoring_s)
                self._checking.compare(call.label, check.content(), before.restored)

        return learn

    def _run_mysql(self, call: Call, connection: Connection, known: Known) -> Learn | None:
        if not hasattr(connection.dialect, "loaded_dbapi"):
            raise UnknownResultError("SQLAlchemy before version 2")
        refuse_statements(call.metadata)
        return self._on_mysql.run(
            SqlalchemySession(connection),
            connection.connection.driver_connection,
            Operation(call.name == "create_all", call.operation),
            call.label,
            known.put_off.setdefault(call.operation[1], {}),
        )

    def _worth_of(self, call: Call) -> Worth:
        of_metadata = self._worths.setdefault(call.metadata, {})
        return of_metadata.setdefault((call.product, call.operation[1]), Worth())

    def _known_of(self, metadata: MetaData, dialect: Any) -> Known:
        key = (id(metadata), self._dialects.of(dialect))
        if key not in self._known:
            self._known[key] = Known(metadata, self._originals["create_all"])
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        return self._known[key]


def begin_by_itself(connection: Connection) -> None:
    """The method's first statement begins a transaction where there is none, since SQLAlchemy 2."""
    is_future = getattr(connection, "_is_future", hasattr(connection, "_autobegin"))
    if is_future and not connection.in_transaction():
        connection._autobegin()


def refuse_listeners(connection: Connection) -> None:
    """Nobody may look at the statements that are sent, but slipstream itself."""
    if "schema_translate_map" in connection.get_execution_options():
        raise UnknownResultError("a schema_translate_map")
    listened_to = (connection, connection.engine, connection.dialect)
    if not any(getattr(target, "_has_events", True) for target in listened_to):
        return
    dispatch, of_dialect = connection.dispatch, connection.dialect.dispatch
    events = [getattr(dispatch, name) for name in _STATEMENTS]
    events += [getattr(of_dialect, name) for name in _CURSORS]
    if not all(_is_own(listener) for listeners in events for listener in listeners):
        raise UnknownResultError("an event listener for the engine's statements")


def _is_unheard(engine: Engine) -> bool:
    """Whether nobody, but for slipstream itself, is called in the engine's transactions, and so may
    do more there."""
    dispatch: Any = engine.dispatch
    events = [getattr(dispatch, name) for name in dispatch._event_names]
    return all(_is_own(listener) for listeners in events for listener in listeners)


def _is_own(listener: object) -> bool:
    return str(getattr(listener, "__module__", "")).startswith(_OWN)
