"""All databases in which slipstream has schemas, and the check of what is restored there.

The invariant: when the run is over, no schema of slipstream's is left in a database that it was in.
One that a killed process left goes when the next run comes by.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import msgspec
import psutil

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import Session
from pytest_slipstream.databases.memoising.postgresql.parking import Parking
from pytest_slipstream.databases.memoising.postgresql.state import (
    PREFIX,
    State,
    glance,
    is_still,
    read,
)


class PostgresqlCheck:
    """Reads what is restored, and what the slow way makes, over the caller's session."""

    def __init__(self, session: Session, is_due: Callable[[], bool]) -> None:
        self._session = session
        self._is_due = is_due

    def is_due(self) -> bool:
        """Whether what is about to be restored is to be compared.

        Raises:
            UnknownResultError: A difference was found in this run, or there is no psycopg, which
                builds the queries.
        """
        if not self._is_due():
            return False
        if find_spec("psycopg") is None:
            raise UnknownResultError("a check, for which psycopg is not installed")
        return True

    def content(self) -> dict[str, str]:
        """All that the database holds, save for slipstream's schemas."""
        from pytest_slipstream.databases.engines.postgresql import content

        return told(content.digest_by(self._session.rows))


def told(content: dict[str, str]) -> dict[str, str]:
    """Without slipstream's schemas, and without comments on schemas.

    The digest leaves out the comments that a new database brings along, and so cannot compare a
    schema that came with it and one that has taken its name; `Namespace.is_like` does.
    """
    return {
        key: value
        for key, value in content.items()
        if PREFIX not in key and not key.startswith("comment on schema ")
    }


class Places:
    """The databases of one process."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._leave: dict[str, Callable[[], None]] = {}
        self._expected: dict[str, State] = {}

    def parking(self) -> Parking:
        """For tables that are not known yet."""
        return Parking(self._new_name)

    def enter(
        self, session: Session, host: str | None, leave: Callable[[], Callable[[], None]]
    ) -> State:
        """The state of a session's database.

        Args:
            session: The caller's.
            host: As the caller's URL has it.
            leave: Asked at the first time: what drops slipstream's schemas in the end.

        Raises:
            UnknownResultError: It is no database of this machine.
        """
        seen = glance(session.rows)
        expected = self._expected.get(seen.identity)
        if expected is not None and seen.is_like(expected):
            if seen.snapshot == expected.snapshot:  # nobody's transaction has ended
                return expected
            if not expected.problem and is_still(session.rows, expected):
                return msgspec.structs.replace(expected, snapshot=seen.snapshot, as_new=None)
        state = read(session.rows)
        if not state.is_local(host):
            raise UnknownResultError("a server on another machine")
        if state.identity in self._leave:
            if not state.writes:
                self.expect(state)
            return state
        self._leave[state.identity] = leave()
        for found in state.parked:
            if is_left(found.name.removeprefix(PREFIX)):
                session.run(f"DROP SCHEMA {found.name} CASCADE")
        return read(session.rows)

    def expect(self, state: State, *, is_alone: bool = True) -> None:
        """Note the state of a database, to which it is compared at the next time.

        Args:
            state: When the transaction has ended.
            is_alone: Whether the transaction does nothing else.
        """
        seen = state if is_alone else msgspec.structs.replace(state, snapshot="")
        self._expected[state.identity] = seen

    def leave(self) -> None:
        """Drop slipstream's schemas in all databases that are still there."""
        while self._leave:
            self._leave.popitem()[1]()

    def _new_name(self) -> str:
        return f"{_own()}{next(self._numbers)}"


def drop_own(connection: Any) -> None:
    """Drop this process's schemas, and those that a forked child has left, over a connection of a
    driver; it is closed then."""
    try:
        cursor = connection.cursor()
        cursor.execute(f"SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '{PREFIX}')")
        for (name,) in cursor.fetchall():
            if name.startswith(_own()) or is_left(name.removeprefix(PREFIX)):
                cursor.execute(f"DROP SCHEMA {name} CASCADE")
        connection.commit()
    finally:
        connection.close()


def is_left(number: str) -> bool:
    """Whether the process whose schema or database it is, by its number, has ended."""
    return not psutil.pid_exists(int(number.partition("_")[0]))


def _own() -> str:
    return f"{PREFIX}{os.getpid()}_"
