"""The run's own clock, which tests cannot freeze.

freezegun replaces every module attribute that is one of `time`'s functions, and time-machine
replaces what ``time.time`` itself does; neither reaches a performance counter kept in an object.
"""

from __future__ import annotations

import time


class Clock:
    """Wall-clock time as it was when the clock was made, carried on by a performance counter.

    Attributes:
        seconds: Returns seconds from an arbitrary start, for differences.
        processor: Returns the seconds that the processor has worked for this process, in all its
            threads.
    """

    def __init__(self) -> None:
        self.seconds = time.perf_counter
        self.processor = time.process_time
        self._offset = time.time() - self.seconds()

    def unix(self) -> float:
        """Unix time in seconds."""
        return self._offset + self.seconds()

    def unix_of(self, seconds: float) -> float:
        """Unix time of what `seconds` said."""
        return self._offset + seconds


clock = Clock()
