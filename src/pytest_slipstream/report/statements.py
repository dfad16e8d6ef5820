"""The statements of a run, added up from its record: pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pytest_slipstream import events


class Statement(msgspec.Struct, frozen=True):
    """One statement.

    Args:
        text: With placeholders, as the driver got it.
        times: How often it ran in all tests.
        seconds: Of all these.
        most: How often it ran in the test that ran it most, whose node id is ``node_id``.
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


def slowest(happened: Iterable[events.Event]) -> tuple[Statement, ...]:
    """All statements that were told apart, those that took longest first."""
    found: dict[str, Statement] = {}
    for event in happened:
        if isinstance(event, events.StatementsTimed):
            for text, (times, seconds) in event.statements.items():
                before = found.get(text, Statement(text, 0, 0.0, 0, ""))
                more = times > before.most
                found[text] = Statement(
                    text,
                    before.times + times,
                    before.seconds + seconds,
                    times if more else before.most,
                    event.node_id if more else before.node_id,
                )
    return tuple(sorted(found.values(), key=lambda one: -one.seconds))
