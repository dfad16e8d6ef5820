"""Whether it is worth to look at an operation, so that a suite that memoising does not suit pays
next to nothing for it.

Pure: seconds come in, and a reason to leave the operation alone comes out. The invariant: whatever
is left alone runs as it is written, which is always right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from statistics import median

import msgspec

IN_VAIN = 8
"""After so many looks in a row that led to nothing, there is none for as long as it takes until the
looks are `ALLOWED` of what the operation took: what suits memoising later in the run is found."""
ALLOWED = 0.025
JUDGED_BY = 8
"""So many replacements, the latest, tell what one saves: one that a busy machine held up says
nothing."""
_WRITTEN = 3


class Typical(msgspec.Struct, frozen=True):
    """One operation: how often it was replaced, what that saved (less than 0 where it took longer)
    and what it takes as it is written, in seconds."""

    uses: int
    saved_s: float
    written_s: float


def too_dear(operations: Iterable[Typical]) -> str | None:
    """Why operations that depend on each other, as a drop and the create after it, are to run as
    they are written from now on; None as long as they pay.

    Args:
        operations: Those of which enough is known.
    """
    known = tuple(operations)
    saved_s = sum(one.uses * one.saved_s for one in known)
    if saved_s >= 0:
        return None
    uses = sum(one.uses for one in known)
    written_s = sum(one.uses * one.written_s for one in known) / uses
    taken_s = written_s - saved_s / uses
    return f"to replace it took longer: {taken_s * 1e3:.1f} ms instead of {written_s * 1e3:.1f} ms"


def calls_to_rest(looks_s: Sequence[float], written_s: float) -> int:
    """For how many calls there is to be no look, after some that led to nothing.

    Args:
        looks_s: Seconds of each look.
        written_s: Seconds of the operation as it is written.
    """
    if not written_s:
        return 0
    return int(len(looks_s) * median(looks_s) / (ALLOWED * written_s))


class _Account:
    """What is known of one operation."""

    def __init__(self) -> None:
        self.uses = 0
        self.resting = 0
        self.problem = ""
        self._vain_s: list[float] = []
        self.saved_s: deque[float] = deque(maxlen=JUDGED_BY)
        self._written_s: deque[float] = deque(maxlen=_WRITTEN)

    @property
    def written_s(self) -> float:
        """The longest that it took of late: what decides against memoising must be sure."""
        return max(self._written_s, default=0.0)

    def note_written(self, seconds: float) -> None:
        self._written_s.append(seconds)

    def note_vain(self, taken_s: float, problem: str) -> None:
        self._vain_s.append(taken_s)
        self.problem = problem
        if len(self._vain_s) == IN_VAIN:
            self.resting = calls_to_rest(self._vain_s, self.written_s)
            self._vain_s.clear()

    def note_use(self, taken_s: float) -> None:
        """It pays for the looks in vain since the last one, but not for what it took to learn."""
        in_vain_s = sum(self._vain_s) if self.uses else 0.0
        self._vain_s.clear()
        self.uses += 1
        if self.written_s:
            self.saved_s.append(self.written_s - taken_s - in_vain_s)


class Worth:
    """Operations that depend on each other: what one costs, another may save.

    An operation is told apart by the one before it as well: to drop what was just dropped is
    nothing to do.
    """

    def __init__(self) -> None:
        self._accounts: dict[Hashable, _Account] = {}
        self._before: Hashable = None
        self._given_up: str | None = None

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

    def vain(self, key: Hashable, taken_s: float, written_s: float, problem: str) -> None:
        """A look led to nothing.

        Args:
            key: Of the operation.
            taken_s: All of the look, and of keeping what it came to.
            written_s: What it then took to run as it is written.
            problem: What stood in the way.
        """
        account = self._accounts[key]
        account.note_written(written_s)
        account.note_vain(taken_s, problem)

    def replaced(self, key: Hashable, taken_s: float) -> None:
        """A kept result took the place of an operation; ``taken_s`` is all that this took."""
        account = self._accounts[key]
        account.note_use(taken_s)
        if account.uses % JUDGED_BY or self._given_up is not None:
            return
        self._given_up = too_dear(
            Typical(one.uses, median(one.saved_s), one.written_s)
            for one in self._accounts.values()
            if len(one.saved_s) >= JUDGED_BY // 2
        )
