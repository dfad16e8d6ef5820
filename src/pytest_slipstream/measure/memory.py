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
        own: The peak of the tree.
        of_servers: The peak of its servers.
    """

    def __init__(self, servers: Servers, *, proc: Path = PROC) -> None:
        self._servers = servers
        self.own = Peak(proc)
        self.of_servers = Peak(proc)

    def look(self, pid: int) -> None:
        """Add up what the tree of a process has now."""
        tree = _tree(pid)
        self.own.look(tree)
        try:
            servers = self._servers({process.pid for process in tree})
        except OSError:  # one that starts or stops at this moment
            servers = []
        self.of_servers.look([process for server in servers for process in _tree(server)])


class Peak:
    """The largest sum over processes so far.

    Attributes:
        kind: What the bytes are.
        seen_bytes: None before the first look at a live process.
    """

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self.kind: MemoryKind = "PSS" if (proc / "self" / "smaps_rollup").exists() else "RSS"
        self.seen_bytes: int | None = None

    def look(self, processes: Iterable[psutil.Process]) -> None:
        """Add up what the processes have now."""
        self.seen_bytes = max(self.seen_bytes or 0, sum(map(self._bytes, processes))) or None

    def _bytes(self, process: psutil.Process) -> int:
        if self.kind == "PSS":
            try:
                return _pss_bytes(self._proc / str(process.pid) / "smaps_rollup")
            except OSError:
                pass  # it has ended, or runs as another user: root in a container may not look
        try:
            rss_bytes = int(process.memory_info().rss)
        except psutil.Error:
            return 0
        if rss_bytes:
            self.kind = "RSS"
        return rss_bytes


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
