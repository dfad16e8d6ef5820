"""The memory of a process tree while it runs, and of the database servers that it uses.

The invariant: the servers, which stay for the next run and are shared with others, are never in
the tree's sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from pytest_slipstream.measure.values import MemoryKind

PROC = Path("/proc")
Servers = Callable[[set[int]], list[int]]
"""From the process ids of a tree to those of the servers that it uses."""


class MemoryWatch:
    """The peaks of one run.

    Args:
        servers: Finds the servers.
        proc: Where the system tells of its processes.

    Attributes:
        kind: What the bytes are.
        peak_bytes: The largest sum over the tree so far; None before the first look.
        server_peak_bytes: The same of its servers; None where none was seen.
    """

    def __init__(self, servers: Servers, *, proc: Path = PROC) -> None:
        self._servers = servers
        self._proc = proc
        self.kind: MemoryKind = "PSS" if (proc / "self" / "smaps_rollup").exists() else "RSS"
        self.peak_bytes: int | None = None
        self.server_peak_bytes: int | None = None

    def look(self, pid: int) -> None:
        """Add up what the tree of a process has now."""
        tree = _tree(pid)
        self.peak_bytes = _larger(self.peak_bytes, self._sum(tree))
        servers = self._servers({process.pid for process in tree})
        of_servers = [process for server in servers for process in _tree(server)]
        self.server_peak_bytes = _larger(self.server_peak_bytes, self._sum(of_servers))

    def _sum(self, processes: Iterable[psutil.Process]) -> int:
        return sum(map(self._bytes, processes))

    def _bytes(self, process: psutil.Process) -> int:
        try:
            if self.kind == "PSS":
                return _pss_bytes(self._proc / str(process.pid) / "smaps_rollup")
            return int(process.memory_info().rss)
        except (psutil.Error, OSError):
            return 0  # it has ended meanwhile, or belongs to somebody else


def _larger(peak: int | None, seen: int) -> int | None:
    return max(peak or 0, seen) or None


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _pss_bytes(rollup: Path) -> int:
    """Proportional set size, by proc_pid_smaps_rollup(5)."""
    for line in rollup.read_text("ascii", "replace").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
