"""What the runs run on: the machine, the revision in git.

Nothing that names the machine or its user is read.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from pytest_slipstream.measure import git
from pytest_slipstream.measure.values import Commit, Machine


def machine() -> Machine:
    """This machine."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return Machine(
        processor=_processor(),
        cores=cores,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.machine()}",
    )


def _processor() -> str:
    """The processor's model, where the system tells."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def load() -> float:
    """The system's load average over the last minute."""
    return round(os.getloadavg()[0], 2)


def commit(directory: Path) -> Commit | None:
    """The revision of a directory, or None without git."""
    revision = git.ask(directory, "rev-parse", "HEAD")
    if revision is None:
        return None
    # What slipstream itself writes does not change what is measured.
    own = ":(top,exclude,glob)**/.slipstream/**"
    changed = git.ask(directory, "status", "--porcelain", "--untracked-files=all", "--", ":/", own)
    return Commit(revision=revision, dirty=bool(changed))
