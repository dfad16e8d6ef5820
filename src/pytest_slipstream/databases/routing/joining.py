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
from typing import TYPE_CHECKING

import msgspec

from pytest_slipstream.databases.routing.uncontained import Uncontained
from pytest_slipstream.errors import IsolationError

if TYPE_CHECKING:  # a run without `rollback` does without
    from pytest_slipstream.databases.routing.physical import TestConnection


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
