"""sqlite3 connections that join the test's connection.

An application's connection is a real one, of the class that it asked for; while it is joined, its
cursors work on the test's connection. The invariant: it begins, commits and rolls back when
Python's sqlite3 would have, in each of its modes: `isolation_level` None or not, and from Python
3.12 on `autocommit`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pytest_slipstream.databases.engines.sqlite import scripts
from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.drivers.classes import Classes
from pytest_slipstream.databases.routing.drivers.sqlite_shared import SHARED_CALLS, Shared, let_go
from pytest_slipstream.databases.routing.physical import TestConnection
from pytest_slipstream.databases.routing.statements import Kind
from pytest_slipstream.databases.routing.uncontained import Uncontained

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance

_DML = re.compile(
    r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*(?:insert|update|delete|replace)\b", re.IGNORECASE | re.DOTALL
)
_PRAGMA = re.compile(
    r"\b(foreign_keys|recursive_triggers|case_sensitive_like|ignore_check_constraints|query_only|"
    r"reverse_unordered_selects|full_column_names|short_column_names)\s*[=(]\s*['\"]?(\w+)",
    re.IGNORECASE,
)
"""The settings by which the results of statements differ."""
_JOURNAL_MODE = re.compile(r"\bjournal_mode\s*=\s*['\"]?(\w+)", re.IGNORECASE)
_OPENING = ("timeout", "detect_types", "cached_statements", "uri")
_OWN = vars(sqlite3.Connection)
"""The attributes that a property of the same name hides."""


class JoinedConnection(sqlite3.Connection):
    """The application's connection."""

    _entrance: Entrance | None = None
    _classes: Classes
    calls: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...] = ()

    _cursors: WeakSet[sqlite3.Cursor] | None = None

    def stand_at(self, entrance: Entrance, given: dict[str, Any], classes: Classes) -> None:
        """From now on it can join."""
        self._cursors = WeakSet()
        self._entrance, self._classes = entrance, classes
        self._options = {name: given[name] for name in _OPENING if name in given}
        self._options["database"] = given["database"]
        query = str(given["database"]).partition("?")[2] if given.get("uri") else ""
        self._parameters = (given.get("detect_types", 0), query)
        self._settings: dict[str, str] = {}
        self._spoke = False

    # Joining

    def joined(self) -> TestConnection | None:
        """The test's connection while this one is joined to it."""
        entrance = self._entrance
        if entrance is None or not entrance.joining.active:
            return None
        joining = entrance.joining
        if self._own_transaction():
            joining.give_up("it uses a connection that a wider fixture left in a transaction")
            return None
        sqlite3.Connection.commit(self)  # is it closed, or another thread's? there is no other ask
        with joining.lock:
            key: Hashable = ("sqlite3", self._parameters, tuple(self._settings.values()))
            test = joining.find(key)
            if test is None and joining.active:
                test = joining.kept(key)
                if test is None:
                    test = TestConnection(key, Shared(entrance, self._options), "sqlite")
                _shared(test).begin(self._settings.values())
                joining.adopt(test)
        if test is not None:
            _shared(test).prepare(self)
        return test

    def _own_transaction(self) -> bool:
        if getattr(self, "autocommit", -1) is False:  # there always is one, often an empty one
            return self._spoke
        return bool(_OWN["in_transaction"].__get__(self))

    def speak_alone(self, sql: object) -> None:
        """A statement goes to its own connection."""
        self._spoke = True
        if self._entrance is None or not isinstance(sql, str):
            return
        if statements.read(sql, "sqlite").kind is Kind.SETTING:
            found = _PRAGMA.search(sql)
            if found is not None:
                self._settings[found[1].lower()] = f"PRAGMA {found[1]} = {found[2]}".lower()

    def is_setting(self, sql: str) -> bool:
        """Whether a statement concerns the session, and is for this connection alone."""
        if self._entrance is None or statements.read(sql, "sqlite").kind is not Kind.SETTING:
            return False
        current = self._entrance.joining.current
        if current is None:
            return True
        if current.transactions.is_open(self):
            return False
        mode = _JOURNAL_MODE.search(sql)
        if mode is not None:
            cursor = sqlite3.Cursor(self).execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] != mode[1].lower():
                self.give_up("it changes the journal mode")
        return True

    def ends_nothing(self, test: TestConnection, sql: str) -> bool:
        """Whether a statement is to end a transaction that is not: its own session says it."""
        kind = statements.read(sql, "sqlite").kind
        return kind in (Kind.COMMIT, Kind.ROLLBACK) and not test.transactions.is_open(self)

    def check_deferred(self, test: TestConnection) -> None:
        """Do what a commit does, if nobody else's work is in the way."""
        if test.transactions.open == {self}:
            _shared(test).check_deferred()

    def begins(self, sql: str) -> bool:
        """Whether a transaction begins before a statement, as this connection is configured."""
        autocommit = getattr(self, "autocommit", -1)
        if isinstance(autocommit, bool):
            return not autocommit
        return self.isolation_level is not None and _DML.match(sql) is not None

    def end(self, test: TestConnection, how: str) -> None:
        """Commit or roll back on the test's connection."""
        assert self._entrance is not None
        with test.lock:
            shared, transactions = _shared(test), test.transactions
            if not transactions.is_open(self):
                return
            if how == "COMMIT":
                self.check_deferred(test)
            try:
                shared.run(test.plan(self, how).texts)
            except Uncontained as why:
                self._entrance.joining.give_up(why.reason)

    def give_up(self, reason: str) -> None:
        """A rollback does not contain what is to be done now."""
        assert self._entrance is not None
        self._entrance.joining.give_up(reason)

    # What sqlite3.Connection has

    def cursor(self, factory: Any = None) -> Any:
        """A cursor, which finds its connection anew with each statement."""
        if self._entrance is None:
            return super().cursor() if factory is None else super().cursor(factory)
        if factory is None or isinstance(factory, type):
            factory = self._classes.cursor(factory or sqlite3.Cursor)
        made = super().cursor(factory)
        if self._cursors is not None:
            self._cursors.add(made)
        return made

    def execute(self, *args: Any) -> Any:
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        return self.cursor().executemany(*args)

    def executescript(self, *args: Any) -> Any:
        return self.cursor().executescript(*args)

    def commit(self) -> None:
        test = self.joined()
        if test is None:
            self._spoke = False
            super().commit()
        elif getattr(self, "autocommit", -1) is not True:
            self.end(test, "COMMIT")

    def rollback(self) -> None:
        test = self.joined()
        if test is None:
            self._spoke = False
            super().rollback()
        elif getattr(self, "autocommit", -1) is not True:
            self.end(test, "ROLLBACK")

    def close(self) -> None:
        test = self._entrance.joining.current if self._entrance is not None else None
        try:
            if test is not None and test.transactions.is_open(self):
                self.end(test, "ROLLBACK")
            let_go(self._cursors or ())
        finally:
            super().close()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        if self.joined() is None:
            return super().__exit__(kind, value, trace)
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False

    @property
    def in_transaction(self) -> bool:
        test = self._entrance.joining.current if self._entrance is not None else None
        if test is not None and test.transactions.is_open(self):
            return True
        return bool(_OWN["in_transaction"].__get__(self))

    @property
    def total_changes(self) -> int:
        # Any thread may ask: aiosqlite's callers do.
        test = self._entrance.joining.current if self._entrance is not None else None
        connection = self if test is None else _shared(test).connection
        return int(_OWN["total_changes"].__get__(connection))

    @property
    def isolation_level(self) -> Any:
        return _OWN["isolation_level"].__get__(self)

    @isolation_level.setter
    def isolation_level(self, value: Any) -> None:
        if value is None and self.joined() is not None:
            self.commit()  # as the setter itself does
        _OWN["isolation_level"].__set__(self, value)

    def interrupt(self) -> None:
        test = self._entrance.joining.current if self._entrance is not None else None
        super().interrupt()
        if test is not None:
            _shared(test).connection.interrupt()

    def backup(self, target: sqlite3.Connection, **options: Any) -> None:
        if self.joined() is not None:  # SQLite copies nothing while its connection is writing
            self.give_up("it makes a copy by backup()")
        super().backup(target, **options)


def _forward(name: str) -> Any:
    """A method of the connection that works on whichever is in use."""

    def method(self: JoinedConnection, *args: Any, **kwargs: Any) -> Any:
        test = self.joined()
        if test is None:
            return getattr(sqlite3.Connection, name)(self, *args, **kwargs)
        with test.lock:
            if name == "deserialize":
                self.give_up("it replaces the whole database by deserialize()")
                return getattr(sqlite3.Connection, name)(self, *args, **kwargs)
            if name == "blobopen":
                test.transactions.statement(self, writes=True)
            return getattr(_shared(test).connection, name)(*args, **kwargs)

    return method


def _register(name: str) -> Any:
    """A method that registers something with the connection, and so with the test's too."""

    def method(self: JoinedConnection, *args: Any, **kwargs: Any) -> Any:
        done = getattr(sqlite3.Connection, name)(self, *args, **kwargs)
        self.calls = (*self.calls, (name, args, kwargs))
        return done

    return method


for _names, _make in (
    (("serialize", "deserialize", "blobopen"), _forward),
    (SHARED_CALLS, _register),
):
    for _name in _names:
        if hasattr(sqlite3.Connection, _name):
            setattr(JoinedConnection, _name, _make(_name))


class JoinedCursor(sqlite3.Cursor):
    """A cursor of the application's connection, bound for each statement to the one in use."""

    def __init__(self, connection: JoinedConnection, *args: Any) -> None:
        super().__init__(connection, *args)
        self._application = connection
        self._bound: sqlite3.Connection = connection

    @property
    def connection(self) -> Any:
        """The application's connection."""
        return self._application

    def execute(self, sql: Any, *parameters: Any) -> Any:
        return self._run(super().execute, sql, parameters)

    def executemany(self, sql: Any, *parameters: Any) -> Any:
        return self._run(super().executemany, sql, parameters)

    def executescript(self, script: Any) -> Any:
        application = self._application
        test = application.joined()
        if test is None or not isinstance(script, str):
            self._bind(application)
            application.speak_alone(script)
            return super().executescript(script)
        if getattr(application, "autocommit", -1) == -1:
            application.end(test, "COMMIT")
        implicit = getattr(application, "autocommit", -1) is False
        for _, statement in scripts.statements(script):
            self._run(super().execute, statement, (), implicit=implicit)
            self.fetchall()
        return self

    def _run(
        self, run: Any, sql: Any, parameters: tuple[Any, ...], *, implicit: bool = True
    ) -> Any:
        application = self._application
        alone = isinstance(sql, str) and application.is_setting(sql)
        test = None if alone else application.joined()
        if test is None or not isinstance(sql, str) or application.ends_nothing(test, sql):
            self._bind(application)
            application.speak_alone(sql)
            return run(sql, *parameters)
        with test.lock:
            shared = _shared(test)
            begins = implicit and application.begins(sql)
            is_open = test.transactions.is_open(application)
            is_new = begins and not is_open
            statement = statements.read(sql, "sqlite")
            kind, name = statement.kind, statement.name
            passing = shared.defers and not (begins or is_open) and statement.writes
            commits = kind is Kind.RELEASE and test.transactions.commits(application, name)
            if kind is Kind.COMMIT or commits:
                application.check_deferred(test)
            if kind is Kind.SAVEPOINT and is_new:
                shared.run(test.plan(application, "BEGIN").texts)
            try:
                plan = test.plan(application, sql, autocommit=not (begins or passing))
            except Uncontained as why:
                application.give_up(why.reason)
                return self._run(run, sql, parameters, implicit=implicit)
            shared.run(plan.before)
            self._bind(shared.connection)
            try:
                done = run(plan.sql, *parameters)
                if passing:
                    application.end(test, "COMMIT")
                return done
            except sqlite3.Error:
                shared.check_alive()
                if passing or (is_new and not shared.can_compile(sql, parameters)):
                    application.end(test, "ROLLBACK")
                raise

    def _bind(self, connection: sqlite3.Connection) -> None:
        if self._bound is not connection:
            arraysize, row_factory = self.arraysize, self.row_factory
            super().__init__(connection)
            self.arraysize, self.row_factory = arraysize, row_factory
            self._bound = connection


def _shared(test: TestConnection) -> Shared:
    assert isinstance(test.physical, Shared)
    return test.physical
