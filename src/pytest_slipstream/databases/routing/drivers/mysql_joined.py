"""PyMySQL's and mysqlclient's connections that join the test's connection.

Both send all SQL through one method, ``query``, and their cursors read results from the connection.
So an application's connection, which has a session of its own, hands a query on to the test's
connection while it is joined, and the questions about its result as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.physical import TestConnection
from pytest_slipstream.databases.routing.statements import Kind
from pytest_slipstream.databases.routing.transactions import Texts
from pytest_slipstream.databases.routing.uncontained import Uncontained
from pytest_slipstream.errors import IsolationError

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.door import Door
    from pytest_slipstream.databases.routing.entrance import Entrance

_INDIFFERENT = frozenset(
    ("cursorclass", "autocommit", "password", "passwd", "connect_timeout", "program_name", "conv")
)
_DEADLOCK = 1213


class Shared:
    """The test's connection.

    Args:
        connection: A plain one of the driver's.
        run: Sends one statement and reads its answer.
        errors: What the driver raises.
    """

    def __init__(self, connection: Any, run: Callable[[Any, str], None], error: Any) -> None:
        self.connection = connection
        self._run = run
        self._error = error
        self._lost = False
        connection.autocommit(True)

    def run(self, texts: Texts) -> None:
        for text in texts:
            self._run(self.connection, text)

    def violation(self) -> str | None:
        """MySQL has no deferred constraints."""
        return None

    def roll_back(self) -> None:
        try:
            self.run(("ROLLBACK",))
        except self._error:
            self.close()

    def commit(self) -> None:
        try:
            self.run(("COMMIT",))
        except self._error as error:
            raise Uncontained(f"its transaction cannot be committed: {error}") from error

    def close(self) -> None:
        if self.is_usable():
            self._lost = True
            self.connection.close()

    def is_usable(self) -> bool:
        return not self._lost and bool(self.connection.open)

    def is_aborted(self) -> bool:
        return False


class Joined:
    """Mixed in before the driver's own class of connections."""

    entrance: Entrance | None = None
    run: Callable[[Any, str], None]
    settings: tuple[str, ...] = ()
    _asked: Any = None

    def stand_at(
        self, entrance: Entrance, parameters: Hashable, open_one: Callable[[], Shared]
    ) -> None:
        """From now on it can join."""
        self._parameters, self._open_one = parameters, open_one
        self.entrance = entrance

    def joined(self) -> TestConnection | None:
        """The test's connection while this one is joined to it."""
        if self.entrance is None or not self.entrance.joining.active:
            return None
        joining = self.entrance.joining
        if self.is_in_own_transaction():
            joining.give_up("it uses a connection that a wider fixture left in a transaction")
            return None
        with joining.lock:
            key = (self.driver, self._parameters, self.settings)
            test = joining.find(key)
            if test is None and joining.active:
                test = joining.kept(key)
                if test is None:
                    shared = self._open_one()
                    shared.run(self.settings)
                    test = TestConnection(key, shared, "mysql")
                shared_of(test).run(("BEGIN",))
                joining.adopt(test)
        return test

    @property
    def answering(self) -> Any:
        """The connection that ran the last query, if it was the test's and still is."""
        test = self.entrance.joining.current if self.entrance is not None else None
        is_current = test is not None and shared_of(test).connection is self._asked
        return self._asked if is_current else None

    def open_in(self) -> TestConnection | None:
        """The test's connection, if this one has an open transaction there."""
        test = self.entrance.joining.current if self.entrance is not None else None
        return test if test is not None and test.transactions.is_open(self) else None

    def end(self, how: str) -> bool:
        """Commit or roll back on the test's connection; whether it is joined."""
        test = self.joined()
        if test is None:
            return False
        self.end_in(test, how)
        return True

    def end_in(self, test: TestConnection, how: str) -> None:
        """Commit or roll back on this connection."""
        assert self.entrance is not None
        with test.lock:
            if test.transactions.is_open(self):
                try:
                    if how == "COMMIT":
                        shared_of(test).run(test.transactions.commit(self))
                    else:
                        shared_of(test).run(test.plan(self, how).texts)
                except Uncontained as why:
                    self.entrance.joining.give_up(why.reason)

    def pass_on(self, sql: Any, send: Callable[[Any, Any], Any]) -> tuple[bool, Any]:
        """Run a query on the test's connection, if this one is joined.

        Args:
            sql: The query, text or bytes.
            send: Runs a query on a connection as the driver itself does.

        Returns:
            Whether it was, and what ``send`` returned.
        """
        self._asked = None
        text = sql if isinstance(sql, str) else bytes(sql).decode("utf-8", "replace")
        statement = statements.read(text, "mysql")
        if statement.kind is Kind.SETTING and self.open_in() is None and self.entrance is not None:
            self.settings += (text,)
            return False, None
        test = self.joined()
        if test is None:
            return False, None
        assert self.entrance is not None
        with test.lock:
            shared = shared_of(test)
            try:
                plan = test.plan(self, text, autocommit=self.get_autocommit())
            except Uncontained as why:
                self.entrance.joining.give_up(why.reason)
                return False, None
            shared.run(plan.before)
            self._asked = shared.connection
            try:
                return True, send(shared.connection, sql if plan.sql == text else plan.sql)
            except Exception as error:
                if error.args and error.args[0] == _DEADLOCK:
                    raise IsolationError(
                        "a deadlock made the server roll back the transaction in which the test's "
                        "commits were kept, and they are lost",
                        hint='mark the test with @pytest.mark.db(isolation="reset")',
                    ) from error
                raise

    # What both drivers' connections have

    driver = ""

    def is_in_own_transaction(self) -> bool:
        """Whether the session of its own is in a transaction."""
        raise AssertionError("each driver's own class says it")

    def get_autocommit(self) -> bool:
        """As the driver's."""
        return bool(super().get_autocommit())  # type: ignore[misc]

    def commit(self) -> None:
        if not self.end("COMMIT"):
            super().commit()  # type: ignore[misc]

    def rollback(self) -> None:
        if not self.end("ROLLBACK"):
            super().rollback()  # type: ignore[misc]

    def begin(self) -> None:
        test = self.joined()
        if test is None:
            super().begin()  # type: ignore[misc]
        else:
            with test.lock:
                shared_of(test).run(test.plan(self, "BEGIN").texts)

    def autocommit(self, value: Any) -> None:
        test = self.open_in()
        if value and test is not None:  # the server commits
            self.end_in(test, "COMMIT")
        super().autocommit(value)  # type: ignore[misc]

    def select_db(self, name: Any) -> None:
        if self.entrance is not None:
            self.entrance.joining.give_up("it changes to another database")
        super().select_db(name)  # type: ignore[misc]

    def close(self) -> None:
        test = self.open_in()
        try:
            if test is not None:
                self.end_in(test, "ROLLBACK")
        finally:
            super().close()  # type: ignore[misc]


def door_of(
    module: ModuleType, base: type, made: type, door: Door, shared: Callable[[Any], Shared]
) -> Callable[..., Any]:
    """A connect call that makes connections which can join.

    Args:
        module: The driver's, whose ``connect`` takes what ``base`` takes.
        base: The driver's class of connections.
        made: The class to make in its place.
        door: The door.
        shared: Makes the test's connection of one of the driver's.
    """
    original = module.connect
    signature = inspect.signature(vars(base)["__init__"])

    def connect(*args: Any, **kwargs: Any) -> Any:
        try:
            given = dict(signature.bind(None, *args, **kwargs).arguments)
        except TypeError:  # the call itself says it better
            return original(*args, **kwargs)
        given |= given.pop("kwargs", {})
        entrance = door.to_server(given.get("database") or given.get("db"))
        if entrance is not None and entrance.renamed:
            args = given.pop("args", ())
            kwargs = {name: value for name, value in given.items() if name not in ("self", "db")}
            kwargs["database"] = entrance.address.database
        if entrance is None or not entrance.joins:
            connection = original(*args, **kwargs)
        else:
            connection = made(*args, **kwargs)
            connection.stand_at(
                entrance,
                _parameters(given),
                lambda: shared(_opened(entrance, original(*args, **kwargs))),
            )
        if entrance is not None:
            entrance.opened(connection)
            entrance.given(connection)
        return connection

    return connect


def _parameters(given: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """A connect call's, as far as sessions differ by them."""
    parameters = {
        "database" if name == "db" else name: str(value)
        for name, value in given.items()
        if name not in _INDIFFERENT and name != "self"
    }
    return tuple(sorted(parameters.items()))


def _opened(entrance: Entrance, connection: Any) -> Any:
    entrance.opened(connection)
    return connection


def shared_of(test: TestConnection) -> Shared:
    """The physical connection, as this module made it."""
    assert isinstance(test.physical, Shared)
    return test.physical
