"""What stands in for one attribute of a library."""

from __future__ import annotations

from typing import Any, NamedTuple


class Patch(NamedTuple):
    """``replacement`` takes the place of the attribute ``name`` of ``holder``."""

    holder: Any
    name: str
    replacement: Any
