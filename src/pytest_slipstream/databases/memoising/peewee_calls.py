"""Peewee's ``create_tables`` and ``drop_tables``, each done once and then restored.

The invariant: models are told apart by the statements that Peewee makes of them.
Whatever is not Peewee's own way to make or drop a table runs as it is written.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from itertools import chain
from operator import is_
from typing import Any

import msgspec
import peewee as typed_peewee

from pytest_slipstream.databases.memoising.attempts import Attempts
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.mysql.on_mysql import PRODUCT, OnMysql, Tablesets
from pytest_slipstream.databases.memoising.operations import Operation, Session
from pytest_slipstream.databases.memoising.postgresql.parking import Before, Parking
from pytest_slipstream.databases.memoising.postgresql.places import (
    Places,
    PostgresqlCheck,
    drop_own,
)
from pytest_slipstream.databases.memoising.postgresql.state import State
from pytest_slipstream.databases.memoising.sqlite_results import KEPT, SqliteResults, plain
from pytest_slipstream.databases.memoising.worth import Worth

peewee: Any = typed_peewee  # the types leave out what it makes its statements with
NAMES = ("create_tables", "drop_tables")
_OPTIONS = {
    "create_tables": {"safe"},
    "drop_tables": {"safe", "cascade", "restrict", "drop_sequences"},
}
_METHODS = ("create_table", "drop_table", "table_exists")
_DATABASES = {  # of playhouse, whose statements go over the driver's connection, once and at once
    "playhouse.pool",
    "playhouse.postgres_ext",
    "playhouse.psycopg3_ext",
    "playhouse.sqlite_ext",
}


Learn = Callable[[], None]
"""Keeps what an operation came to, after it has run as it is written."""


class Call(msgspec.Struct, frozen=True):
    """One call of a method of a Database."""

    name: str
    product: str
    database: Any
    models: list[Any]
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """What the summary calls it."""
        return f"{self.name} on {self.product}"

    @property
    def operation(self) -> Operation:
        """What its result depends on, beside the models and the database."""
        return Operation(self.name == "create_tables", tuple(sorted(self.options.items())))


Way = Callable[[Call], Learn | None]
"""Replaces a call, or says how to learn from it; it raises before it has done anything."""


class PeeweeSession(Session):
    """A Database's connection of this thread."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def _execute(self, statement: str) -> Any:
        cursor = self._database.cursor()
        with peewee.__exception_wrapper__:
            cursor.execute(statement)
        return cursor


class PeeweeCalls:
    """Stands in for the two methods from `put_up` to `take_down`."""

    def __init__(self, ledger: Ledger, checking: Checking, on_mysql: OnMysql) -> None:
        self._ledger = ledger
        self._checking = checking
        self._mysql = on_mysql
        self._attempts = Attempts(ledger, checking)
        self._worths: dict[Hashable, Worth] = {}
        self._places = Places()
        self._statements = Statements()
        self._results = SqliteResults(ledger, checking)
        self._seen: set[Hashable] = set()
        self._parkings: dict[Hashable, Parking] = {}
        self._put_off: dict[Hashable, Tablesets] = {}
        self._originals: dict[str, Callable[..., None]] = {}
        self._ways: tuple[tuple[type, str, Way], ...] = (
            (peewee.PostgresqlDatabase, "PostgreSQL", self._on_postgresql),
            (peewee.MySQLDatabase, PRODUCT, self._on_mysql),
            (peewee.SqliteDatabase, "SQLite", self._on_sqlite),
        )

    def put_up(self) -> None:
        """Replace the methods."""
        for name in NAMES:
            self._originals[name] = original = vars(peewee.Database)[name]
            setattr(peewee.Database, name, self._replacement(name, original))

    def take_down(self) -> None:
        """Put them back."""
        for name, original in self._originals.items():
            setattr(peewee.Database, name, original)
        self._originals.clear()
        self._places.leave()

    def _replacement(self, name: str, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def replacement(database: Any, models: Any, **options: Any) -> None:
            given = list(models)

            def as_written() -> None:
                original(database, given, **options)

            for kind, product, way in self._ways:
                if isinstance(database, kind):
                    call = Call(name, product, database, given, options)
                    self._run(call, way, as_written)
                    return
            self._ledger.as_written(name, "another product")
            as_written()

        return replacement

    def _run(self, call: Call, way: Way, as_written: Callable[[], None]) -> None:
        """Replace the call, or let it run and learn from it."""
        worth = self._worths.setdefault((call.product, *map(id, call.models)), Worth())
        attempt = self._attempts.begin(call.label, worth, call.operation)
        if attempt is None:
            as_written()
            return
        learn = unknown = None
        try:
            _refuse(call)
            learn = way(call)
        except UnknownResultError as reason:
            unknown = str(reason)
        if unknown is not None:
            attempt.refused(unknown)
            with attempt.writing():
                as_written()
            return
        if learn is None:
            attempt.replaced()
            return
        with attempt.writing():
            as_written()
        learn()
        attempt.made()

    def _on_postgresql(self, call: Call) -> Learn | None:
        database, session = call.database, PeeweeSession(call.database)
        check = PostgresqlCheck(session, functools.partial(self._checking.is_due, call.label))
        is_alone = not database.in_transaction()
        statements = self._statements.of(call.database, call.models)
        if statements not in self._seen:  # once in a run is nothing to learn from
            self._seen.add(statements)
            return lambda: None
        with database.atomic():
            parking, before = self._redo(database, session, statements, call.operation, check)
        if isinstance(before, State):
            self._places.expect(before, is_alone=is_alone)
            return None

        def learn() -> None:
            with database.atomic():
                parking.record(session, call.operation, before)
                if before.restored is not None:
                    self._ledger.replaced(call.label, 0.0)
                    self._checking.compare(call.label, check.content(), before.restored)

        return learn

    def _on_sqlite(self, call: Call) -> Learn | None:
        _refuse_cycles(call.models)
        operation = (call.operation, self._statements.of(call.database, call.models))
        learn = self._results.begin(_sqlite_of(call.database), call.label, operation)
        return None if learn is None else lambda: learn(_sqlite_of(call.database))

    def _on_mysql(self, call: Call) -> Learn | None:
        """The same, where each statement on the schema commits by itself."""
        statements = self._statements.of(call.database, call.models)
        if statements not in self._seen:
            self._seen.add(statements)
            return lambda: None
        return self._mysql.run(
            PeeweeSession(call.database),
            call.database.connection(),
            call.operation,
            call.label,
            self._put_off.setdefault(statements, {}),
        )

    def _redo(
        self,
        database: Any,
        session: PeeweeSession,
        statements: Hashable,
        operation: Operation,
        check: PostgresqlCheck,
    ) -> tuple[Parking, Before | State]:
        host = database.connect_params.get("host")
        state = self._places.enter(session, host, lambda: functools.partial(_leave, database))
        key = (state.identity, state.surroundings, statements)
        parking = self._parkings.setdefault(key, self._places.parking())
        return parking, parking.redo(session, state, operation, check)


def _sqlite_of(database: Any) -> sqlite3.Connection:
    with peewee.__exception_wrapper__:
        return plain(database.cursor().connection)


def _leave(database: Any) -> None:
    # A database that is gone, or does not answer any more, has none of slipstream's schemas.
    with suppress(peewee.PeeweeException, OSError), peewee.__exception_wrapper__:
        drop_own(peewee.PostgresqlDatabase._connect(database))  # past a pool


class Statements:
    """What Peewee would send to make models' tables.

    To make them anew at each call would cost most of what memoising saves. So all values that
    models and fields consist of are kept, and compared by identity: whatever is assigned, appended
    or removed since is seen.
    """

    def __init__(self) -> None:
        self._noted: OrderedDict[tuple[int, ...], tuple[_Values, Hashable]] = OrderedDict()

    def of(self, database: Any, models: list[Any]) -> Hashable:
        """The statements, as a value that can be compared.

        Args:
            database: In whose way they are written: a Proxy's may be another than before.
            models: Whose tables they make.
        """
        key = (id(database), *map(id, models))
        noted = self._noted.get(key)
        if noted is not None and noted[0].are_still_those_of(models):
            return noted[1]
        made: list[Hashable] = []
        for model in peewee.sort_models(models):
            contexts = [model._schema._create_table(), *model._schema._create_indexes()]
            made += [(sql, repr(values)) for sql, values in (each.query() for each in contexts)]
        if all(_is_peewees(type(field)) for model in models for field in model._meta.sorted_fields):
            # With what making them has cached; a field of the project's own is asked each time.
            self._noted[key] = _Values(database, models), tuple(made)
            while len(self._noted) > KEPT:
                self._noted.popitem(last=False)
        return tuple(made)


class _Values:
    """All values of models and their fields, and what stands in their collections."""

    def __init__(self, database: Any, models: list[Any]) -> None:
        self._metas = [model._meta for model in models]
        self._database = database
        """Kept, as the models are, so that no other gets its number."""
        self._collections: list[Collection[Any]] = []
        """As they are at any time, so that only what they hold is to be compared."""
        self._keep(database._field_types)
        for model in models:
            self._keep(model._schema.context_options)
        for holder in self._holders():
            self._keep(vars(holder))
            for value in vars(holder).values():
                if isinstance(value, list | dict):
                    self._keep(value)
        self._lengths = list(map(len, self._collections))
        self._values = list(chain.from_iterable(self._collections))

    def _holders(self) -> list[Any]:
        """Also models and fields that are only referred to: their names are in the statements."""
        found = [*self._metas]
        for meta in self._metas:
            found += meta.sorted_fields
            for field in meta.refs:
                found += (field.rel_model._meta, field.rel_field)
        # Not a set: fields have an == of theirs.
        return list({id(holder): holder for holder in found}.values())

    def _keep(self, collection: list[Any] | dict[Any, Any]) -> None:
        self._collections.append(collection)
        if isinstance(collection, dict):
            self._collections.append(collection.values())

    def are_still_those_of(self, models: list[Any]) -> bool:
        """Whether nothing has been assigned, appended or removed."""
        return (
            all(map(is_, (model._meta for model in models), self._metas))
            and list(map(len, self._collections)) == self._lengths
            and all(map(is_, chain.from_iterable(self._collections), self._values))
        )


def _refuse_cycles(models: list[Any]) -> None:
    """Each table must be dropped after those that reference it.

    Raises:
        UnknownResultError: Foreign keys form a cycle, so that rows decide what can be dropped.
    """
    seen: set[Any] = set()
    for model in peewee.sort_models(models):
        seen.add(model)
        references = {field.rel_model for field in model._meta.refs}
        if not references & set(models) <= seen:
            raise UnknownResultError("tables whose foreign keys form a cycle")


def _is_peewees(kind: type) -> bool:
    modules = {base.__module__.partition(".")[0] for base in kind.__mro__}
    return modules <= {"peewee", "playhouse", "builtins"}


def _refuse(call: Call) -> None:
    """Everything must be Peewee's own.

    Raises:
        UnknownResultError: The project has a way of its own to make or drop tables.
    """
    database, options = call.database, call.options
    if not options.keys() <= _OPTIONS[call.name]:
        raise UnknownResultError(f"the options {', '.join(sorted(options))}")
    modules = {base.__module__ for base in type(database).__mro__}
    if not modules <= {"peewee", "builtins", *_DATABASES}:
        raise UnknownResultError(f"a Database of the class {type(database).__qualname__}")
    if getattr(database, "query_hooks", ()):
        raise UnknownResultError("a hook for the Database's statements")
    for model in call.models:
        schema = model._schema
        if type(schema) is not peewee.SchemaManager or any(
            getattr(model, method).__func__ is not getattr(peewee.Model, method).__func__
            for method in _METHODS
        ):
            raise UnknownResultError(f"the model {model.__name__}, which makes its own table")
        if getattr(schema.database, "obj", schema.database) is not database:
            raise UnknownResultError(f"the model {model.__name__} of another Database")
        if model._meta.temporary or any(field.sequence for field in model._meta.sorted_fields):
            raise UnknownResultError(f"the temporary table or sequence of {model.__name__}")
