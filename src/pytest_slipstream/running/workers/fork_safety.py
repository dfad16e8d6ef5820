"""Whether this process can be forked: what would be broken in the copies.

A thread is not copied, and what it holds stays held; a connection would be shared by all workers.
Threads of libraries that Python does not know of are left to the libraries.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

_DESCRIPTORS = Path("/dev/fd")
_HARMLESS = frozenset(("pytest_rerunfailures",))
"""Modules whose thread only listens, for workers of pytest-xdist's that there are not."""
_MACHINERY = ("threading", "concurrent.", "queue", "selectors", "socket", "time", "asyncio.")


def reason_against(known: Collection[int]) -> str:
    """Why the process should not be forked; "" if nothing speaks against it.

    Args:
        known: The sockets that were open before the project's code was imported.
    """
    if not hasattr(os, "fork"):
        return "this platform has no fork"
    if sys.platform == "darwin":
        return "system libraries of macOS do not work in a forked process"
    return next(_threads(), "") or next(_connections(known), "")


def _threads() -> Iterator[str]:
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread is threading.main_thread():
            continue
        frame = frames.get(thread.ident or 0)
        modules = []
        while frame is not None:
            modules.append(str(frame.f_globals.get("__name__")))
            frame = frame.f_back
        own = [name for name in modules if not name.startswith(_MACHINERY)]
        if own and own[0] in _HARMLESS:
            continue
        of = f", of the module {own[0]}," if own else ""
        yield f"the thread {thread.name!r}{of} is running"


def sockets() -> frozenset[int]:
    """The open sockets of this process."""
    found = set()
    for path in _DESCRIPTORS.iterdir() if _DESCRIPTORS.exists() else ():
        try:
            if stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                found.add(int(path.name))
        except OSError:  # the one by which the directory was read
            continue
    return frozenset(found)


def _connections(known: Collection[int]) -> Iterator[str]:
    for descriptor in sorted(sockets().difference(known)):
        with socket.socket(fileno=os.dup(descriptor)) as opened:
            if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue  # it listens: nobody is at its other end
            try:
                peer = opened.getpeername()
            except OSError:
                peer = None
        where = f" to {_shown(peer)}" if peer else ""
        yield f"a connection{where} was opened while the tests were imported"


def _shown(peer: object) -> str:
    if isinstance(peer, tuple):
        return ":".join(map(str, peer[:2]))
    return os.fsdecode(peer) if isinstance(peer, bytes) else str(peer)
