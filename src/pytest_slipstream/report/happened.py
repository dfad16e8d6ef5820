"""The events of a run by their kind: a report looks for many kinds, of which most are few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pytest_slipstream import events

_E = TypeVar("_E", bound=events.Event)


class Happened:
    """Events, each kind in the order in which they came.

    Args:
        happened: A run record's.
    """

    def __init__(self, happened: Iterable[events.Event]) -> None:
        self._found: dict[type[events.Event], list[events.Event]] = {}
        for event in happened:
            kind = type(event)
            if kind in self._found:
                self._found[kind].append(event)
            else:
                self._found[kind] = [event]

    def of(self, kind: type[_E]) -> list[_E]:
        """Those of one kind."""
        return self._found.get(kind, [])  # type: ignore[return-value]

    def about(self, database: str) -> Happened:
        """Those of one database."""
        return Happened(
            event
            for kind, found in self._found.items()
            if "database" in kind.__struct_fields__
            for event in found
            if getattr(event, "database", None) == database
        )
