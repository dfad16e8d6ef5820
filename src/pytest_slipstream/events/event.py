"""The base of all events."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """Base of all events. ``at`` is Unix time in seconds, stamped by the record."""

    worker: str = "main"
    at: float = 0.0
