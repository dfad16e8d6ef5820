"""The test's connection of sqlite3: one transaction, with an application's settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from pytest_slipstream.databases.routing.transactions import Texts
from pytest_slipstream.databases.routing.uncontained import Uncontained
from pytest_slipstream.errors import IsolationError

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance

SHARED_CALLS = (
    "create_function",
    "create_aggregate",
    "create_window_function",
    "create_collation",
    "set_authorizer",
    "set_progress_handler",
    "set_trace_callback",
    "enable_load_extension",
    "load_extension",
    "setlimit",
    "setconfig",
)
"""What an application registers on its connection, and the test's must have too."""


def let_go(cursors: Iterable[sqlite3.Cursor]) -> None:
    """Have the cursors of a connection that is closed now keep nothing.

    A traceback holds our frames and so a cursor, which would keep the closed connection's lock.
    """
    for cursor in tuple(cursors):
        with suppress(sqlite3.ProgrammingError):  # another thread's: closing will say it
            sqlite3.Cursor.close(cursor)


class Application(Protocol):
    """A connection of the application's, as far as the test's must be like it."""

    calls: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...]
    text_factory: Any


class Shared:
    """The test's connection.

    Args:
        entrance: Where it is opened.
        options: Of `sqlite3.connect`.
    """

    def __init__(self, entrance: Entrance, options: dict[str, Any]) -> None:
        self.connection = sqlite3.Connection(
            **options, isolation_level=None, check_same_thread=False
        )
        entrance.opened(self.connection)
        self._prepared: dict[int, int] = {}
        self._registered: set[tuple[str, tuple[Any, ...]]] = set()
        self._violations: frozenset[Any] | None = None

    def begin(self, settings: Iterable[str]) -> None:
        """Begin the transaction of a turn, in a session with an application's settings."""
        self._prepared.clear()
        for setting in settings:
            self.connection.execute(setting).fetchall()
        self.connection.execute("BEGIN")
        self._violations = None
        deferred = "SELECT 1 FROM sqlite_master WHERE sql LIKE '%DEFERR%' LIMIT 1"
        if self.connection.execute(deferred).fetchone() is not None:
            self._violations = self._violated()

    @property
    def defers(self) -> bool:
        """Whether there are constraints that are checked at commit."""
        return self._violations is not None

    def check_deferred(self) -> None:
        """Do what a commit does.

        Raises:
            sqlite3.IntegrityError: A deferred constraint is violated.
        """
        if self._violations is not None and self._violated() - self._violations:
            raise sqlite3.IntegrityError("FOREIGN KEY constraint failed")

    def _violated(self) -> frozenset[Any]:
        if self.connection.execute("PRAGMA foreign_keys").fetchone()[0] == 0:
            return frozenset()
        return frozenset(self.connection.execute("PRAGMA foreign_key_check").fetchall())

    def prepare(self, application: Application) -> None:
        """Register what the application registered on its own connection; take its texts' type."""
        calls = application.calls
        done = self._prepared.get(id(application), 0)
        for name, args, kwargs in calls[done:]:
            known = (name, args[:2])  # a function by its name and number of arguments
            try:
                getattr(self.connection, name)(*args, **kwargs)
            except sqlite3.OperationalError:
                # Another connection's statement is under way, and may be using its own.
                if known not in self._registered:
                    raise
            self._registered.add(known)
        self._prepared[id(application)] = len(calls)
        self.connection.text_factory = application.text_factory

    def run(self, texts: Texts) -> None:
        for text in texts:
            self.connection.execute(text)

    def violation(self) -> str | None:
        """What a deferred constraint has to say to what was committed while others were open."""
        try:
            self.check_deferred()
        except sqlite3.Error as error:
            return str(error)
        return None

    def roll_back(self) -> None:
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()

    def commit(self) -> None:
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise Uncontained(f"its transaction cannot be committed: {error}") from error

    def close(self) -> None:
        self.connection.close()

    def is_usable(self) -> bool:
        try:
            return not self.connection.in_transaction
        except sqlite3.ProgrammingError:  # closed
            return False

    def is_aborted(self) -> bool:
        return False

    def can_compile(self, sql: str, parameters: tuple[Any, ...]) -> bool:
        """Whether a statement is valid; before one that is not, no transaction begins."""
        try:
            self.connection.execute(f"EXPLAIN {sql}", *parameters)
        except sqlite3.Error:
            return False
        return True

    def check_alive(self) -> None:
        """After an error: some end the whole transaction.

        Raises:
            IsolationError: This one has.
        """
        if not self.connection.in_transaction:
            raise IsolationError(
                "an error made SQLite end the transaction in which the test's commits were kept, "
                "and they are lost",
                hint='mark the test with @pytest.mark.db(isolation="reset")',
            )
