"""Whether what was restored is what the slow way makes: in an audit always, otherwise in one run of
ten, and there for the first, the second, the fourth, the eighth … of each operation.

The slow way is SQLAlchemy's own method on a copy of the database as it was before. The invariant: a
difference never reaches the tests. The database is then made the slow way's, and nothing more is
replaced in this run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pytest_slipstream.databases.audit import compare
from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.memoising import sqlite
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.errors import IsolationError

if TYPE_CHECKING:
    from pytest_slipstream.databases.memoising.operations import OnDriver


class Operation(Protocol):
    """What was replaced."""

    @property
    def label(self) -> str:
        """What the summary calls it."""

    def as_written(self, bind: Any) -> None:
        """Do it the slow way."""


class Checking:
    """Compares restored databases with ones made the slow way.

    Args:
        ledger: Counts the checks and keeps the differences.
        audit: Check all, and fail whoever made a difference.
        sample: Check some.
    """

    def __init__(self, ledger: Ledger, *, audit: bool, sample: bool) -> None:
        self._ledger = ledger
        self._audit = audit
        self._sample = sample
        self._times: Counter[str] = Counter()
        self._found = False

    @property
    def may_compare(self) -> bool:
        """Whether anything is compared in this run."""
        return self._audit or self._sample

    def is_due(self, label: str) -> bool:
        """Whether an operation, which is about to be replaced, is to be compared.

        Raises:
            UnknownResultError: A difference was found in this run.
        """
        if self._found:
            raise UnknownResultError("a difference that was found earlier in the run")
        self._times[label] += 1
        times = self._times[label]
        return self._audit or (self._sample and times & (times - 1) == 0)

    def begin(self, call: Operation, on: OnDriver) -> Callable[[], None]:
        """Before an operation is replaced on SQLite: what is to be called when that is done.

        Raises:
            UnknownResultError: A difference was found in this run.
        """
        if not self.is_due(call.label):
            return lambda: None
        from sqlalchemy import create_engine
        from sqlalchemy.pool import StaticPool

        before = on(sqlite.copied)
        if before is None:
            raise UnknownResultError("a database that somebody writes")

        def check() -> None:
            engine = create_engine("sqlite://", creator=lambda: before, poolclass=StaticPool)
            with engine.begin() as connection:
                call.as_written(connection)
            right = content.digest(before)
            self.compare(
                call.label,
                right,
                on(content.digest),
                put_right=lambda: on(lambda database: pages.copy(before, database)),
            )
            engine.dispose()

        return check

    def compare(
        self,
        label: str,
        right: dict[str, str],
        restored: dict[str, str],
        *,
        put_right: Callable[[], None] = lambda: None,
    ) -> None:
        """Hold what was restored to what the slow way made.

        Raises:
            IsolationError: They differ, and this is an audit.
        """
        self._ledger.checked(label)
        found = compare(right, restored)
        if not found:
            return
        self._found = True
        self._ledger.differed(label, found)
        put_right()
        if self._audit:
            raise IsolationError(
                f"what was restored for {label} differs from what it makes: {'; '.join(found)}",
                hint="run without `--slipstream-memoize`, and report this as a defect of "
                "slipstream",
            )
