"""The test's connection: where the application's connections to a slot meet while a `rollback`
test runs.

One physical connection holds one transaction from its first use in the test's body to the test's
end. The invariant: from `Joining.begin` to `Joining.end` what joined connections do is in that
transaction; where that cannot be, either the transaction was committed as a whole, with no
application transaction open, and the test goes on as under `reset`, or the application got an
`IsolationError` at the very call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.statements import Kind
from pytest_slipstream.databases.routing.transactions import Texts, Transactions, Uncontained
from pytest_slipstream.errors import IsolationError

_NOTHING = ("SAVEPOINT slipstream_nothing", "RELEASE SAVEPOINT slipstream_nothing")


class Physical(Protocol):
    """The test's connection, as its driver does these things; called by the hooks' thread."""

    def violation(self) -> str | None:
        """What a deferred constraint has to say to what was committed in the turn, or None."""

    def roll_back(self) -> None:
        """End the transaction of the turn, on whatever event loop it lives, or the connection."""

    def commit(self) -> None:
        """Commit the transaction of the turn.

        Raises:
            Uncontained: It cannot be done from here.
        """

    def close(self) -> None:
        """Close the connection; never raises."""

    def is_usable(self) -> bool:
        """Whether the next test can use it."""

    def is_aborted(self) -> bool:
        """Whether an error has ended the transaction (PostgreSQL)."""


class Plan(msgspec.Struct, frozen=True):
    """What to send: ``before``, and then ``sql`` in the place of the application's statement."""

    before: Texts
    sql: str

    @property
    def texts(self) -> Texts:
        """All of it."""
        return (*self.before, self.sql)


class TestConnection:
    """A physical connection that is kept from test to test.

    Args:
        key: Which application connections can share it: driver, parameters, event loop.
        physical: The connection.
        engine: The product.

    ``lock`` is for drivers without a lock of their own: an operation is planned and carried out
    under it.
    """

    __test__ = False

    def __init__(self, key: Hashable, physical: Physical, engine: str) -> None:
        self.key = key
        self.physical = physical
        self.transactions = Transactions(guarded=engine == "postgresql")
        self.lock = threading.RLock()
        self._engine = engine

    def plan(self, who: Hashable, sql: str, *, autocommit: bool = True) -> Plan:
        """What to send in the place of a statement of the application.

        Args:
            who: The application's connection.
            sql: Its statement.
            autocommit: Whether the driver would send it without a transaction around it; else one
                begins.

        Raises:
            Uncontained: It is a statement that cannot be rolled back, or undone alone.
        """
        statement = statements.read(sql, self._engine)
        if statement.kind is Kind.UNCONTAINED:
            raise Uncontained(statement.reason)
        transactions, aborted = self.transactions, self.physical.is_aborted()
        control: dict[Kind, Callable[[], Texts]] = {
            Kind.BEGIN: lambda: transactions.begin(who, aborted=aborted),
            Kind.COMMIT: lambda: transactions.commit(who, aborted=aborted),
            Kind.ROLLBACK: lambda: transactions.rollback(who, aborted=aborted),
            Kind.SAVEPOINT: lambda: transactions.savepoint(who, statement.name, aborted=aborted),
            Kind.RELEASE: lambda: transactions.release(who, statement.name, aborted=aborted),
            Kind.ROLLBACK_TO: lambda: transactions.rollback_to(
                who, statement.name, aborted=aborted
            ),
        }
        if statement.kind is Kind.BEGIN and transactions.is_open(who):
            if self._engine == "sqlite":
                return Plan((), sql)  # the error that it gets is SQLite's
            if self._engine == "mysql":  # it commits what is open
                texts = transactions.commit(who) + transactions.begin(who)
                return Plan(texts[:-1], texts[-1])
        if statement.kind in control:
            texts = control[statement.kind]() + transactions.pay() or _NOTHING
            return Plan(texts[:-1], texts[-1])
        before: Texts = ()
        if not autocommit:
            before = transactions.begin(who, aborted=aborted)
            aborted = aborted and not before
        before += transactions.statement(who, writes=statement.writes, aborted=aborted)
        return Plan(before, sql)


class Ended(msgspec.Struct, frozen=True):
    """How a turn went.

    ``reason`` why it was not contained; connections that were left in a transaction; what a
    deferred constraint had to say in the end.
    """

    reason: str | None = None
    left_open: int = 0
    violation: str | None = None


class Joining:
    """The turns of one database.

    Args:
        database: Its key in the configuration.
        engine: The product.
    """

    def __init__(self, database: str, engine: str) -> None:
        self.engine = engine
        self.possible = False
        """Whether connections opened from now on must be able to join."""
        self.turn = 0
        """Grows with every turn; what a connection remembers of another turn is over."""
        self.generation = 0
        """Grows when the slot is made anew: connections opened before are dead."""
        self.lock = threading.RLock()
        """For drivers that threads share: held from `find` to `adopt`."""
        self.check: Callable[[], None] = _no_check
        """Raises where the running code may not use a connection."""
        self._database = database
        self._active = False
        self._node_id = ""
        self._reason: str | None = None
        self._interruption: tuple[str, Callable[[], None]] | None = None
        self._current: TestConnection | None = None
        self._warm: dict[Hashable, TestConnection] = {}
        self._known: dict[str, str] = {}

    # For the hooks

    def known_reason(self, node_id: str) -> str | None:
        """Why a rollback did not contain this test function when it ran before, in this run."""
        return self._known.get(_function(node_id))

    def note(self, node_id: str, reason: str) -> None:
        """Remember that a rollback does not contain this test function."""
        self._known[_function(node_id)] = reason

    def begin(self, node_id: str) -> None:
        """The body of a `rollback` test begins: connections are joined from here on."""
        self.turn += 1
        self._active, self._node_id, self._reason = True, node_id, None

    def end(self, *, commit: bool = False) -> Ended | None:
        """The test is over: roll back.

        Args:
            commit: Commit instead.

        Returns:
            None when there was no turn.
        """
        current, self._current = self._current, None
        reason, self._reason = self._reason, None
        ended, self._active = self._active or reason is not None, False
        if not ended or current is None:
            return Ended(reason) if ended else None
        left_open = len(current.transactions.open)
        violation = current.physical.violation() if not (left_open or commit) else None
        current.transactions.clear()
        if commit:
            current.physical.commit()
        else:
            current.physical.roll_back()
        if not current.physical.is_usable():
            self._drop(current)
        return Ended(reason, left_open, violation)

    @contextmanager
    def interrupted(self, reason: str, then: Callable[[], None]) -> Iterator[None]:
        """While a wider fixture is set up within the test: what it writes must outlive the test.

        Most of them write nothing; the first use of a connection gives up.

        Args:
            reason: Why.
            then: Called after that, and before the connection is used.
        """
        before, self._interruption = self._interruption, (reason, then)
        try:
            yield
        finally:
            self._interruption = before

    def discard(self) -> None:
        """The slot was made anew, or ends: connections to what it was are of no use."""
        self.generation += 1
        self._current = None
        for connection in tuple(self._warm.values()):
            self._drop(connection)

    def _drop(self, connection: TestConnection) -> None:
        del self._warm[connection.key]
        connection.physical.close()

    # For the drivers

    @property
    def active(self) -> bool:
        """Whether connections are joined now; drivers ask it before each use of one.

        Raises:
            IsolationError: The connection is not for the running code.
        """
        self.check()
        return self._active

    @property
    def current(self) -> TestConnection | None:
        """The test's connection, if one was used in this turn."""
        return self._current

    def find(self, key: Hashable) -> TestConnection | None:
        """The test's connection, for an application connection that can use one with this key.

        Returns:
            None where there is none yet: open one, or take `kept`, begin its transaction and
            `adopt` it. Also None when the turn is over by this call: ask `active` again.

        Raises:
            IsolationError: Another one is in use, and has an open transaction.
        """
        if self._active and self._interruption is not None:
            reason, then = self._interruption
            self.give_up(reason)
            then()
        if self._current is None or not self._active or self._current.key == key:
            return self._current if self._active else None
        self.give_up("it uses a second connection, of another driver, event loop or parameters")
        return None

    def kept(self, key: Hashable) -> TestConnection | None:
        """The test's connection of an earlier test."""
        found = self._warm.get(key)
        if found is not None and not found.physical.is_usable():
            self._drop(found)
            return None
        return found

    def adopt(self, connection: TestConnection) -> TestConnection:
        """Use this one, in whose session a transaction has just begun, until the turn ends."""
        connection.transactions.clear()
        self._warm[connection.key] = self._current = connection
        return connection

    def give_up(self, reason: str) -> None:
        """A rollback does not contain what the test does now: it goes on as under `reset`.

        Without effect outside of a turn.

        Raises:
            IsolationError: It cannot, because the application is within a transaction.
        """
        if not self._active:
            return
        self.note(self._node_id, reason)
        self._reason = reason
        current = self._current
        if current is not None:
            try:
                if current.transactions.open:
                    raise Uncontained("a transaction is open")
                current.physical.commit()
            except Uncontained as why:
                raise IsolationError(
                    f"{self._node_id}: a rollback cannot contain what the test does on the "
                    f"database {self._database!r}: {reason}; it cannot go on with real commits, "
                    f"because {why.reason}",
                    hint='mark the test with @pytest.mark.db(isolation="reset")',
                ) from None
            # What was set for the session by then would last.
            self._drop(current)
        self._current, self._active = None, False


def _no_check() -> None:
    """Every use is fine."""


def _function(node_id: str) -> str:
    """The test without its parameters."""
    return node_id.partition("[")[0]
