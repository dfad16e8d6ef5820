"""The run's own clock, which tests cannot freeze.

freezegun replaces every module attribute that is one of `time`'s functions, and time-machine
replaces what ``time.time`` itself does; neither reaches a performance counter kept in an object.
"""

from __future__ import annotations

import time


class Clock:
    """Wall-clock time as it was when the clock was made, carried on by a performance counter."""

    def __init__(self) -> None:
        self._counter = time.perf_counter
        self._offset = time.time() - self._counter()

    def seconds(self) -> float:
        """Seconds from an arbitrary start, for differences."""
        return self._counter()

    def unix(self) -> float:
        """Unix time in seconds."""
        return self._offset + self._counter()


clock = Clock()
