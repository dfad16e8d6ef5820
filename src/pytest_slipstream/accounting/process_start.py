"""When this process was started, by the system."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_STARTTIME = 19  # of proc_pid_stat(5), counted from the field after the command's name


def age_s() -> float:
    """Seconds since this process was started or forked."""
    if sys.platform == "linux":
        # By the same clock on both sides: psutil's times go by the second of the last boot.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[_STARTTIME]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks)
    import psutil

    return max(0.0, time.time() - psutil.Process().create_time())
