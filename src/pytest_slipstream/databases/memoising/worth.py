"""Whether it is worth to look at an operation, so that a suite that memoising does not suit pays
next to nothing for it.

Pure: seconds come in, and a reason to leave the operation alone comes out. The invariant: whatever
is left alone runs as it is written, which is always right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from statistics import median

import msgspec

IN_VAIN = 5
"""After so many looks in a row that led to nothing, as many calls are left alone; the next time
twice as many, and so on: operations that suit memoising later in the run are found then."""
JUDGED_BY = 8
"""Seconds of so many looks, the latest, tell what an operation costs: one that a busy machine held
up says nothing."""
_WRITTEN = 3


class Typical(msgspec.Struct, frozen=True):
    """One operation: how often it was looked at, what a look saved (less than 0 where it cost more
    than it saved), and what it takes as it is written, in seconds."""

    looks: int
    saved_s: float
    written_s: float


def too_dear(operations: Iterable[Typical]) -> str | None:
    """Why operations that depend on each other, as a drop and the create after it, are to run as
    they are written from now on; None as long as they pay.

    Args:
        operations: Those of which enough is known.
    """
    known = tuple(operations)
    saved_s = sum(one.looks * one.saved_s for one in known)
    if saved_s >= 0:
        return None
    looks = sum(one.looks for one in known)
    written_s = sum(one.looks * one.written_s for one in known) / looks
    taken_s = written_s - saved_s / looks
    return f"to replace it took longer: {taken_s * 1e3:.1f} ms instead of {written_s * 1e3:.1f} ms"


class _Account:
    """What is known of one operation."""

    def __init__(self) -> None:
        self.looks = 0
        self.in_vain = 0
        self.resting = 0
        self.next_rest = IN_VAIN
        self.problem = ""
        self.saved_s: deque[float] = deque(maxlen=JUDGED_BY)
        self._written_s: deque[float] = deque(maxlen=_WRITTEN)

    @property
    def written_s(self) -> float:
        """The longest that it took of late: what decides against memoising must be sure."""
        return max(self._written_s, default=0.0)

    def note_written(self, seconds: float) -> None:
        self._written_s.append(seconds)

    def note_vain(self, problem: str) -> None:
        self.in_vain += 1
        self.problem = problem
        if self.in_vain % IN_VAIN == 0:
            self.resting, self.next_rest = self.next_rest, 2 * self.next_rest

    def note_use(self) -> None:
        self.in_vain, self.next_rest = 0, IN_VAIN


class Worth:
    """Operations that depend on each other: what one costs, another may save.

    An operation is told apart by the one before it as well: to drop what was just dropped is
    nothing to do.
    """

    def __init__(self) -> None:
        self._accounts: dict[Hashable, _Account] = {}
        self._before: Hashable = None
        self._given_up: str | None = None
        self._is_of_use = False

    def begin(self, operation: Hashable) -> tuple[Hashable, str | None]:
        """An operation is called.

        Args:
            operation: What it is called, and all that tells it from others.

        Returns:
            By what the other methods know it, and why it is to run as it is written now, if it is.
        """
        key = (self._before, operation)
        self._before = operation
        account = self._accounts.setdefault(key, _Account())
        if self._given_up is not None:
            return key, self._given_up
        if account.resting:
            account.resting -= 1
            return key, f"not looked at, since it was in vain before: {account.problem}"
        return key, None

    def vain(self, key: Hashable, taken_s: float, written_s: float | None, problem: str) -> None:
        """A look led to nothing.

        Args:
            key: Of the operation.
            taken_s: All of the look, and of keeping what it came to.
            written_s: What it took to run as it is written, where that is known.
            problem: What stood in the way.
        """
        account = self._accounts[key]
        if written_s is not None:
            account.note_written(written_s)
        account.note_vain(problem)
        self._note(account, -taken_s)

    def replaced(self, key: Hashable, taken_s: float) -> None:
        """A kept result took the place of an operation; ``taken_s`` is all that this took."""
        account = self._accounts[key]
        account.note_use()
        self._is_of_use = True
        self._note(account, account.written_s - taken_s if account.written_s else 0.0)

    def _note(self, account: _Account, saved_s: float) -> None:
        if not self._is_of_use:  # to learn costs once, and is not what is judged
            return
        account.looks += 1
        account.saved_s.append(saved_s)
        known = [one for one in self._accounts.values() if len(one.saved_s) == JUDGED_BY]
        self._given_up = too_dear(
            Typical(one.looks, median(one.saved_s), one.written_s) for one in known
        )
