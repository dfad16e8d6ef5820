"""Stretches of time that may overlap: pure."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[float, float]
"""From when to when."""


def overlap(spans: Iterable[Span]) -> tuple[int, float]:
    """How many of some spans overlap at most, and how long they cover time together."""
    edges = sorted(edge for begin, end in spans for edge in ((begin, 1), (end, -1)))
    now, most, covered, since = 0, 0, 0.0, 0.0
    for at, step in edges:
        if now:
            covered += at - since
        now, since = now + step, at
        most = max(most, now)
    return most, covered
