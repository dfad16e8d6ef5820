"""One call of an operation that may be replaced: its seconds, and what it leads to.

The invariant: each call is counted once, and what memoising takes for it is told apart from what
the operation takes as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising.ledger import Ledger
from pytest_slipstream.databases.memoising.worth import Worth

if TYPE_CHECKING:
    from pytest_slipstream.databases.memoising.checking import Checking

_UNKNOWN = "it met another state each time"


class Attempt:
    """Made where a look at an operation begins.

    Args:
        ledger: Counts.
        label: What the summary calls the operation.
        worth: Learns whether it was worth it.
        key: By which it knows the operation.
    """

    def __init__(self, ledger: Ledger, label: str, worth: Worth | None, key: Hashable) -> None:
        self._ledger = ledger
        self._label = label
        self._worth = worth
        self._key = key
        self._written_s = 0.0
        self._refused: tuple[float, str] | None = None
        self._began_s = clock.seconds()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While the operation runs as it is written."""
        began_s = clock.seconds()
        yield
        self._written_s = clock.seconds() - began_s
        if self._worth is not None and self._refused is not None:
            taken_s, reason = self._refused
            self._worth.vain(self._key, taken_s, self._written_s, reason)

    def as_written(self, operation: Callable[[], Any]) -> Callable[[], None]:
        """An operation that can be called without arguments, measured."""

        def measured() -> None:
            with self.writing():
                operation()

        return measured

    def replaced(self, detail: str = "") -> None:
        """A kept result has taken the operation's place; ``detail`` follows its name."""
        taken_s = clock.seconds() - self._began_s
        self._ledger.replaced(self._label + detail, taken_s)
        if self._worth is not None:
            self._worth.replaced(self._key, taken_s)

    def made(self, detail: str = "", problem: str | None = None) -> None:
        """It ran as it is written, and what it came to was kept."""
        taken_s = clock.seconds() - self._began_s - self._written_s
        self._ledger.made(self._label + detail, self._written_s)
        self._ledger.learnt(self._label + detail, taken_s)
        if self._worth is not None:
            self._worth.vain(self._key, taken_s, self._written_s, problem or _UNKNOWN)

    def refused(self, reason: str) -> None:
        """Its result cannot be known: it runs as it is written after this."""
        taken_s = clock.seconds() - self._began_s
        self._ledger.as_written(self._label, reason)
        self._ledger.learnt(self._label, taken_s)
        self._refused = taken_s, reason


class Attempts:
    """Those of one library.

    Args:
        ledger: Counts.
        checking: In a run that compares, what that takes is no reason to leave anything alone.
    """

    def __init__(self, ledger: Ledger, checking: Checking) -> None:
        self._ledger = ledger
        self._judges = not checking.may_compare

    def begin(self, label: str, worth: Worth, operation: Hashable) -> Attempt | None:
        """An operation is called.

        Args:
            label: What the summary calls it.
            worth: Of all that depend on each other.
            operation: What tells it from the others of these.

        Returns:
            None where it is to run as it is written, without a look.
        """
        if not self._judges:
            return Attempt(self._ledger, label, None, None)
        key, reason = worth.begin(operation)
        if reason is None:
            return Attempt(self._ledger, label, worth, key)
        self._ledger.as_written(label, reason)
        return None
