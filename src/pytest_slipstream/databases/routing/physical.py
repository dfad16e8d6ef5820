"""The test's connection: a physical one that the application's connections share while they join.

The invariant: what is sent in the place of an application's statement does to its own work exactly
what the statement says, and nothing to the transaction of the turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Protocol

import msgspec

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.statements import Kind, Statement
from pytest_slipstream.databases.routing.transactions import Texts, Transactions
from pytest_slipstream.databases.routing.uncontained import Uncontained

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
        if statement.kind is Kind.BEGIN and transactions.is_open(who):
            if self._engine == "sqlite":
                return Plan((), sql)  # the error that it gets is SQLite's
            if self._engine == "mysql":  # it commits what is open
                texts = transactions.commit(who) + transactions.begin(who)
                return Plan(texts[:-1], texts[-1])
        controlling = self._control(who, statement, aborted=aborted)
        if controlling is not None:
            texts = controlling + transactions.pay() or _NOTHING
            return Plan(texts[:-1], texts[-1])
        before: Texts = ()
        if not autocommit:
            before = transactions.begin(who, aborted=aborted)
            aborted = aborted and not before
        before += transactions.statement(who, writes=statement.writes, aborted=aborted)
        return Plan(before, sql)

    def _control(self, who: Hashable, statement: Statement, *, aborted: bool) -> Texts | None:
        """What a statement that begins or ends something becomes; None for all others."""
        transactions, name = self.transactions, statement.name
        control: dict[Kind, Callable[[], Texts]] = {
            Kind.BEGIN: lambda: transactions.begin(who, aborted=aborted),
            Kind.COMMIT: lambda: transactions.commit(who, aborted=aborted),
            Kind.ROLLBACK: lambda: transactions.rollback(who, aborted=aborted),
            Kind.SAVEPOINT: lambda: transactions.savepoint(who, name, aborted=aborted),
            Kind.RELEASE: lambda: transactions.release(who, name, aborted=aborted),
            Kind.ROLLBACK_TO: lambda: transactions.rollback_to(who, name, aborted=aborted),
        }
        return control[statement.kind]() if statement.kind in control else None
