"""The atoms of a source, handed to the workers that ask for them.

The invariant: what a lost worker left is handed out before anything more is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from pytest_slipstream.running.sources import Source
from pytest_slipstream.scheduling.atoms import Atom


class Pulled:
    """Hands out what a source does.

    Args:
        source: Hands out tests, and nothing where it has none now.
        items: All collected tests; atoms name their positions.
    """

    def __init__(self, source: Source, items: Sequence[pytest.Item]) -> None:
        self._source = source
        self._positions = {item: position for position, item in enumerate(items)}
        self._at_hand: deque[Atom] = deque()

    def take(self, worker: int) -> Atom | None:
        """The next atom, for whichever worker."""
        return self._at_hand.popleft() if self.look() else None

    def look(self) -> bool:
        """Whether there is an atom now; it stays at hand."""
        if not self._at_hand and (tests := self._source.take()):
            self._at_hand.append(Atom(tuple(self._positions[item] for item in tests), 0.0))
        return bool(self._at_hand)

    @property
    def left(self) -> int:
        """How many tests are at hand."""
        return sum(len(atom.tests) for atom in self._at_hand)

    def lost(self, worker: int, unfinished: Sequence[Atom]) -> None:
        """A worker is gone; this is left of the atoms that it had begun."""
        self._at_hand.extend(unfinished)
