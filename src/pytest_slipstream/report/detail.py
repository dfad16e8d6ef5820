"""What a run's detail tells apart, added up from its record: statements and waits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pytest_slipstream import events


class Apart(msgspec.Struct, frozen=True):
    """One statement, or the waits for one thing in one place.

    Args:
        text: Of a statement with placeholders, as the driver got it.
        times: How often it was in all tests.
        seconds: Of all these.
        most: How often it was in the test that had it most, whose node id is ``node_id``.
    """

    text: str
    times: int
    seconds: float
    most: int
    node_id: str

    @property
    def told(self) -> str:
        """In one line."""
        often = f"{self.times} times, up to {self.most} in {self.node_id}"
        return f"{self.seconds:.3f} s, {often}: {self.text}"


def statements(happened: Iterable[events.Event]) -> tuple[Apart, ...]:
    """All statements that were told apart, those that took longest first."""
    return _added_up(
        (event.node_id, event.statements)
        for event in happened
        if isinstance(event, events.StatementsTimed)
    )


def waits(happened: Iterable[events.Event]) -> tuple[Apart, ...]:
    """All waits whose place was told, the longest first."""
    return _added_up(
        (event.node_id, event.waits) for event in happened if isinstance(event, events.WaitsTimed)
    )


def _added_up(
    of_tests: Iterable[tuple[str, Mapping[str, tuple[int, float]]]],
) -> tuple[Apart, ...]:
    found: dict[str, Apart] = {}
    for node_id, own in of_tests:
        for text, (times, seconds) in own.items():
            before = found.get(text, Apart(text, 0, 0.0, 0, ""))
            more = times > before.most
            found[text] = Apart(
                text,
                before.times + times,
                before.seconds + seconds,
                times if more else before.most,
                node_id if more else before.node_id,
            )
    return tuple(sorted(found.values(), key=lambda one: -one.seconds))
