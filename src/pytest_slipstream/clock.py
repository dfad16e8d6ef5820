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
        self._processor = time.process_time
        self._offset = time.time() - self._counter()

    def seconds(self) -> float:
        """Seconds from an arbitrary start, for differences."""
        return self._counter()

    def processor(self) -> float:
        """Seconds that the processor has worked for this process, in all its threads."""
        return self._processor()

    def unix(self) -> float:
        """Unix time in seconds."""
        return self._offset + self._counter()

    def unix_of(self, seconds: float) -> float:
        """Unix time of what `seconds` said."""
        return self._offset + seconds


clock = Clock()
