from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_slipstream.running.workers import crashes
from pytest_slipstream.running.workers.pulled import Pulled

ITEMS: list[Any] = ["a", "b", "c", "d"]


class Rows:
    """A source of these rows; an empty one stands for nothing now."""

    def __init__(self, *rows: Sequence[Any]) -> None:
        self._rows = list(rows)

    def take(self) -> Sequence[Any]:
        return self._rows.pop(0) if self._rows else ()


def test_atoms_name_positions_and_more_may_come_after_nothing() -> None:
    pulled = Pulled(Rows(["b", "c"], [], ["a"]), ITEMS)
    first = pulled.take(0)
    assert first is not None
    assert first.tests == (1, 2)
    assert pulled.take(1) is None
    assert pulled.look()
    assert pulled.left == 1
    second = pulled.take(0)
    assert second is not None
    assert second.tests == (0,)
    assert (pulled.look(), pulled.left) == (False, 0)


def test_what_a_lost_worker_left_comes_first() -> None:
    pulled = Pulled(Rows(["a", "b", "c"], ["d"]), ITEMS)
    atom = pulled.take(0)
    assert atom is not None
    pulled.lost(0, [crashes.rest(atom, [1, 2])])
    assert pulled.left == 2
    again = pulled.take(1)
    assert again is not None
    assert again.tests == (1, 2)
