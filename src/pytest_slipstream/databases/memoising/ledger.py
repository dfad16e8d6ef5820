"""What memoising has replaced, what it left as it is written and why: for the summary.

Operations are many, so they are counted here and become a few events at the end of the run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

from pytest_slipstream import events


class UnknownResultError(Exception):
    """What an operation comes to cannot be known, so it runs as it is written; the text names what
    it meets or depends on.

    It runs after the `except` clause: within, this would be the context of the suite's own errors.
    """


class Ledger:
    """Counts of one process."""

    def __init__(self) -> None:
        self._slow: dict[str, list[float]] = {}
        self._replaced: dict[str, list[float]] = {}
        self._learnt: defaultdict[str, float] = defaultdict(float)
        self._checked: Counter[str] = Counter()
        self._as_written: Counter[tuple[str, str]] = Counter()
        self._differences: list[events.MemoDiffered] = []

    def made(self, operation: str, seconds: float) -> None:
        """An operation ran as it is written, and its result was kept."""
        self._slow.setdefault(operation, []).append(seconds)

    def learnt(self, operation: str, seconds: float) -> None:
        """So long it took to look at an operation that was not replaced, and to keep its result."""
        self._learnt[operation] += seconds

    def replaced(self, operation: str, seconds: float) -> int:
        """A kept result took the place of an operation; how many times that is so by now."""
        taken = self._replaced.setdefault(operation, [])
        taken.append(seconds)
        return len(taken)

    def checked(self, operation: str) -> None:
        """A replaced operation was compared with one made the slow way."""
        self._checked[operation] += 1

    def as_written(self, operation: str, reason: str) -> None:
        """An operation ran as it is written, since its result cannot be known."""
        self._as_written[operation, reason] += 1

    def differed(self, operation: str, differences: tuple[str, ...]) -> None:
        """A check found that what was restored is not what the operation makes."""
        self._differences.append(events.MemoDiffered(operation=operation, differences=differences))

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell all of it, once."""
        for operation, taken in self._replaced.items():
            slow = self._slow.get(operation, [0.0])
            emit(
                events.OperationMemoised(
                    operation=operation,
                    times=len(taken),
                    seconds=sum(taken) + self._learnt[operation],
                    slow_seconds=len(taken) * min(slow),
                    checked=self._checked[operation],
                )
            )
        for (operation, reason), times in self._as_written.items():
            emit(events.OperationAsWritten(operation=operation, reason=reason, times=times))
        for difference in self._differences:
            emit(difference)
