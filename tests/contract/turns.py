"""The strategy `rollback` on a slot without a pytest run: a door, and turns that end as in one.

The invariant: a turn that says it was contained has left nothing for `reset` to put back.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from hypothesis import note

from pytest_slipstream import events
from pytest_slipstream.databases.engines.protocol import Cleaning, Slot
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.joining import Joining


class Turns:
    """Turns on one slot, while connections to it pass the door.

    Args:
        slot: The slot.
        joining: What the door's entrance to it has.
    """

    def __init__(self, slot: Slot, joining: Joining) -> None:
        self._slot = slot
        self._joining = joining
        self.contained = True
        """How the turn that ended last went."""

    def begin(self) -> None:
        """A test begins."""
        self._joining.begin("test")

    def clean(self) -> Cleaning:
        """The test is over: roll back, and clean what that did not reach."""
        ended = self._joining.end()
        cleaning = self._slot.clean()
        assert ended is not None
        self.contained = ended.reason is None
        if self.contained:
            # What no transaction holds is written back, which hooks tell as not contained.
            assert not cleaning.restored or any(
                table.partition(".")[2].startswith(("in_", "numbers")) for table in cleaning.tables
            ), cleaning
            assert not cleaning.ddl, cleaning
        else:
            note(f"not contained: {ended.reason}")
        return cleaning

    def discard(self) -> None:
        """Sessions on the slot were ended."""
        self._joining.discard()


@contextmanager
def turns(slot: Slot) -> Generator[Turns, None, None]:
    """A door with the slot behind it, taken down at the end."""
    left_alone: list[events.Event] = []
    door = Door(left_alone.append)
    joining = door.add("main", slot.address).joining
    joining.possible = True
    door.put_up()
    try:
        assert left_alone == []
        yield Turns(slot, joining)
    finally:
        joining.discard()
        door.take_down()
