"""Whether any test carries a marker, for suites of thousands that carry none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest


def is_any_marked(items: Sequence[pytest.Item], name: str) -> bool:
    """Whether one of them, or what it is in, has this marker.

    To ask each item for its closest one takes several times as long: it looks at the same modules
    again and again.
    """
    parents = {item.parent for item in items}
    around = (node for parent in parents if parent is not None for node in parent.listchain())
    return any(
        mark.name == name
        for nodes in (items, around)
        for node in nodes
        for mark in node.own_markers
    )
