"""This machine, and its class: durations of one class can be compared."""

from __future__ import annotations

import os
import platform
import sys


def machine_class() -> str:
    """Of this machine: system, processor and how many processors this process may use."""
    return f"{sys.platform}-{platform.machine().lower()}-{processors()}"


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
