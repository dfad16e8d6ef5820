"""The audit: after every test the slot is compared with what it was before it.

The comparison reads the whole database and shares nothing with the way cleaning works, so that it
can prove cleaning wrong.
"""

from __future__ import annotations

from pytest_slipstream import events
from pytest_slipstream.databases.database import Database, Emit
from pytest_slipstream.errors import IsolationError


class Audit:
    """Remembers what each database is with each set of layers, and checks it."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._expected: dict[tuple[str, tuple[int, ...]], dict[str, str]] = {}

    def expect(self, database: Database) -> None:
        """Before a test: what the slot is now, if these layers lie on it for the first time."""
        key = (database.name, database.layers)
        if key not in self._expected:
            self._expected[key] = database.slot.digest()

    def check(self, database: Database, node_id: str) -> None:
        """After a test, once its slot is clean.

        Raises:
            IsolationError: The test left a trace; the slot has been made anew.
        """
        expected = self._expected.get((database.name, database.layers))
        if expected is None:  # a layer was taken from under another: there is nothing to hold it to
            return
        found = compare(expected, database.slot.digest())
        if not found:
            return
        database.replace()
        self._emit(events.TraceFound(database=database.name, node_id=node_id, differences=found))
        raise IsolationError(
            f"{node_id} left a trace in the database {database.name!r} that cleaning did not "
            f"undo: {'; '.join(found)}",
            hint='mark the test with @pytest.mark.db(isolation="clone") and report this as a '
            "defect of slipstream",
        )


def compare(expected: dict[str, str], actual: dict[str, str]) -> tuple[str, ...]:
    """The differences between two digests, in words, sorted by object."""
    found = []
    for key in sorted(expected.keys() | actual.keys()):
        if key not in actual:
            found.append(f"{key} is missing")
        elif key not in expected:
            found.append(f"{key} is new")
        elif expected[key] != actual[key]:
            found.append(f"{key} differs")
    return tuple(found)
