"""psycopg2's connections and cursors that join the test's connection.

An application's connection is a real one, with a session of its own; its cursors are made on the
test's connection while it is joined. psycopg2 itself begins the physical transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions
from psycopg2.sql import Composable

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.drivers.classes import Classes
from pytest_slipstream.databases.routing.physical import TestConnection
from pytest_slipstream.databases.routing.statements import Kind
from pytest_slipstream.databases.routing.transactions import Texts
from pytest_slipstream.databases.routing.uncontained import Uncontained

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance

_CHECK = (
    "SAVEPOINT slipstream_check",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "ROLLBACK TO SAVEPOINT slipstream_check",
    "RELEASE SAVEPOINT slipstream_check",
)
_DEFAULT_LEVELS = (None, extensions.ISOLATION_LEVEL_READ_COMMITTED)


class Shared:
    """The test's connection."""

    def __init__(self, connection: Any, encoding: str, settings: tuple[str, ...]) -> None:
        self.connection = connection
        if connection.encoding != encoding:
            connection.set_client_encoding(encoding)
        with extensions.cursor(connection) as cursor:
            for setting in settings:
                cursor.execute(setting)
            cursor.execute("SELECT FROM pg_constraint WHERE condeferrable LIMIT 1")
            self.defers = cursor.rowcount > 0
        connection.commit()

    def run(self, texts: Texts) -> None:
        if texts:
            with extensions.cursor(self.connection) as cursor:
                cursor.execute("; ".join(texts))

    def roll_back(self) -> None:
        try:
            self.connection.rollback()
        except psycopg2.Error:
            self.close()

    def commit(self) -> None:
        try:
            self.connection.commit()
        except psycopg2.Error as error:
            raise Uncontained(f"its transaction cannot be committed: {error}") from error

    def violation(self) -> str | None:
        """What a deferred constraint has to say to what was committed while others were open."""
        if not self.defers or self.is_aborted():
            return None
        try:
            self.run(("SET CONSTRAINTS ALL IMMEDIATE",))
        except psycopg2.Error as error:
            return str(error).strip()
        return None

    def close(self) -> None:
        self.connection.close()

    def is_usable(self) -> bool:
        return not self.connection.closed

    def is_aborted(self) -> bool:
        status = self.connection.get_transaction_status()
        return bool(status == extensions.TRANSACTION_STATUS_INERROR)


class JoinedConnection(extensions.connection):  # type: ignore[misc]
    """The application's connection."""

    _entrance: Entrance | None = None
    _classes: Classes
    _settings: tuple[str, ...] = ()
    _pending: tuple[str, ...] = ()
    """Settings in the open transaction of its own session, which has nothing else in it."""

    def stand_at(
        self,
        entrance: Entrance,
        parameters: Hashable,
        open_one: Callable[[], Any],
        classes: Classes,
    ) -> None:
        """From now on it can join."""
        self._open, self._parameters, self._classes = open_one, parameters, classes
        self._entrance = entrance

    def joined(self) -> TestConnection | None:
        """The test's connection while this one is joined to it."""
        entrance = self._entrance
        if entrance is None or self.closed or not entrance.joining.active:
            return None
        joining = entrance.joining
        own = extensions.connection.get_transaction_status(self)
        if own != extensions.TRANSACTION_STATUS_IDLE and not self._pending:
            joining.give_up("it uses a connection that a wider fixture left in a transaction")
        elif self.isolation_level not in _DEFAULT_LEVELS or self.readonly:
            joining.give_up("it asks for an isolation level, or a read-only transaction")
        with joining.lock:
            settings = self._settings + self._pending
            key: Hashable = ("psycopg2", self._parameters, self.encoding, settings)
            test = joining.find(key)
            if test is None and joining.active:
                test = joining.kept(key) or self._new(key, settings)
                joining.adopt(test)
        if test is not None:
            shared = _shared(test).connection
            shared.notices = self.notices
            shared.string_types.update(self.string_types)
            shared.binary_types.update(self.binary_types)
        return test

    def _new(self, key: Hashable, settings: tuple[str, ...]) -> TestConnection:
        assert self._entrance is not None
        connection = self._open()
        self._entrance.opened(connection)
        return TestConnection(key, Shared(connection, self.encoding, settings), "postgresql")

    def open_in(self) -> TestConnection | None:
        """The test's connection, if this one has an open transaction there."""
        test = self._entrance.joining.current if self._entrance is not None else None
        return test if test is not None and test.transactions.is_open(self) else None

    def end(self, test: TestConnection, how: str) -> None:
        """Commit or roll back on the test's connection."""
        assert self._entrance is not None
        with test.lock:
            transactions, shared = test.transactions, _shared(test)
            if not transactions.is_open(self):
                return
            aborted = shared.is_aborted()
            doomed = transactions.is_doomed(self, aborted=aborted)
            if how == "COMMIT" and shared.defers and not doomed and transactions.open == {self}:
                try:
                    shared.run(_CHECK)
                except psycopg2.Error:
                    shared.run(transactions.rollback(self, aborted=True))
                    raise
            try:
                if how == "COMMIT":
                    texts = transactions.commit(self, aborted=aborted)
                else:
                    texts = test.plan(self, how).texts
            except Uncontained as why:
                self._entrance.joining.give_up(why.reason)
            else:
                shared.run(texts)

    def set_in_own_session(self, text: str, arguments: tuple[Any, ...]) -> None:
        """Carry out a setting, which is for this connection alone."""
        with extensions.cursor(self) as cursor:
            cursor.execute(text, *arguments)
            made = cursor.query.decode()
        own = extensions.connection.get_transaction_status(self)
        if own == extensions.TRANSACTION_STATUS_IDLE:
            self._settings += (made,)
        else:
            self._pending += (made,)

    def give_up(self, reason: str) -> None:
        """A rollback does not contain what is to be done now."""
        if self._entrance is not None:
            self._entrance.joining.give_up(reason)

    # What psycopg2's connection has

    def cursor(
        self, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if self._entrance is None:
            return super().cursor(name, cursor_factory, *args, **kwargs)
        wanted = cursor_factory or self.cursor_factory or extensions.cursor
        return super().cursor(name, self._classes.cursor(wanted), *args, **kwargs)

    def commit(self) -> None:
        test = self.joined()
        if test is None or self._pending:
            super().commit()
            self._settings, self._pending = self._settings + self._pending, ()
        if test is not None:
            self.end(test, "COMMIT")

    def rollback(self) -> None:
        test = self.joined()
        if test is None or self._pending:
            super().rollback()
            self._pending = ()
        if test is not None:
            self.end(test, "ROLLBACK")

    def close(self) -> None:
        test = self.open_in()
        try:
            if test is not None:
                self.end(test, "ROLLBACK")
        finally:
            super().close()

    def reset(self) -> None:
        test = self.open_in()
        if test is not None:
            self.end(test, "ROLLBACK")
        super().reset()
        self._settings = self._pending = ()

    def set_isolation_level(self, level: Any) -> None:
        test = self.open_in()
        if test is not None:  # psycopg2 rolls back, too
            self.end(test, "ROLLBACK")
        super().set_isolation_level(level)

    def set_session(self, *args: Any, **kwargs: Any) -> None:
        if self.open_in() is not None:
            raise psycopg2.ProgrammingError("set_session cannot be used inside a transaction")
        super().set_session(*args, **kwargs)

    def tpc_begin(self, xid: Any) -> None:
        if self.joined() is not None:
            self.give_up("it begins a two-phase transaction")
        super().tpc_begin(xid)

    def lobject(self, *args: Any, **kwargs: Any) -> Any:
        test = self.joined()
        if test is None:
            return super().lobject(*args, **kwargs)
        with test.lock:
            shared = _shared(test)
            shared.run(test.plan(self, "insert", autocommit=self.autocommit).before)
            return shared.connection.lobject(*args, **kwargs)

    def cancel(self) -> None:
        test = self._entrance.joining.current if self._entrance is not None else None
        if test is not None:
            _shared(test).connection.cancel()
        super().cancel()

    def get_transaction_status(self) -> int:
        test = self.open_in()
        if test is None:
            return int(super().get_transaction_status())
        doomed = test.transactions.is_doomed(self, aborted=test.physical.is_aborted())
        if doomed:
            return int(extensions.TRANSACTION_STATUS_INERROR)
        return int(extensions.TRANSACTION_STATUS_INTRANS)

    @property
    def status(self) -> int:
        """As psycopg2's; with the application's own transaction."""
        if self.open_in() is not None:
            return int(extensions.STATUS_BEGIN)
        return int(_OWN["status"].__get__(self))

    @property
    def autocommit(self) -> bool:
        """As psycopg2's."""
        return bool(_OWN["autocommit"].__get__(self))

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if self.open_in() is not None:
            raise psycopg2.ProgrammingError("set_session cannot be used inside a transaction")
        _OWN["autocommit"].__set__(self, value)

    @property
    def info(self) -> Any:
        """As psycopg2's; with the application's own transaction."""
        return JoinedInfo(self)


_OWN = vars(extensions.connection)


class JoinedInfo(extensions.ConnectionInfo):  # type: ignore[misc]
    """Tells the transaction's status as the application's connection has it."""

    def __init__(self, connection: JoinedConnection) -> None:
        super().__init__(connection)
        self._connection = connection

    @property
    def transaction_status(self) -> int:
        return self._connection.get_transaction_status()


class JoinedCursor(extensions.cursor):  # type: ignore[misc]
    """A cursor of the application's connection, made on the one that is in use."""

    def __init__(self, connection: JoinedConnection, *args: Any, **kwargs: Any) -> None:
        self._application = connection
        self._made_with = (args, kwargs)
        self._bind(connection.joined())

    def _bind(self, test: TestConnection | None) -> None:
        self._bound = self._application if test is None else _shared(test).connection
        args, kwargs = self._made_with
        super().__init__(self._bound, *args, **kwargs)

    @property
    def connection(self) -> Any:
        """The application's connection."""
        return self._application

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(super().execute, query, args, kwargs)

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(super().executemany, query, args, kwargs)

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(lambda _: super(JoinedCursor, self).callproc(*args, **kwargs), "call")

    def copy_from(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(lambda _: super(JoinedCursor, self).copy_from(*args, **kwargs), "copy")

    def copy_to(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(lambda _: super(JoinedCursor, self).copy_to(*args, **kwargs), "table")

    def copy_expert(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(super().copy_expert, query, args, kwargs)

    def _run(self, run: Any, query: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        application = self._application
        test = application.joined()
        bound = application if test is None else _shared(test).connection
        if bound is not self._bound:
            self._bind(test)
        if test is None or not isinstance(query, str | bytes | Composable):
            return run(query, *args, **(kwargs or {}))
        text = _text(query, application)
        kind = statements.read(text, "postgresql").kind
        if kind is Kind.SETTING and not test.transactions.is_open(application):
            application.set_in_own_session(text, args)
            return None
        with test.lock:
            autocommit = application.autocommit
            try:
                if kind is Kind.COMMIT:
                    application.end(test, "COMMIT")
                plan = test.plan(application, text, autocommit=autocommit)
            except Uncontained as why:
                application.give_up(why.reason)
                return self._run(run, query, args, kwargs)
            _shared(test).run(plan.before)
            same = plan.sql == text
            return run(query if same else plan.sql, *(args if same else ()), **(kwargs or {}))


def _text(query: Any, connection: Any) -> str:
    if isinstance(query, Composable):
        return str(query.as_string(connection))
    return query if isinstance(query, str) else query.decode()


def _shared(test: TestConnection) -> Shared:
    assert isinstance(test.physical, Shared)
    return test.physical
