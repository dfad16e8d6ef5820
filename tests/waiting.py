"""Waits for conditions, with limits that only a broken program reaches."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 240.0


def until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait until a condition holds; fail with its name where it never does."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit_s:.0f} s, and it is not so: {what}")
        time.sleep(0.02)
