"""Server processes: started so that they outlive whoever started them, found again, stopped.

The invariant: a signal is only ever sent to a process whose command line carries the mark that it
was started with, so a process id that another program has got meanwhile is never hit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.errors import ServerError

# psutil is imported where it is needed: a run that finds its server up does without.
if TYPE_CHECKING:
    import psutil

_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_POLL_S = 0.01
_REPLACING_S = 1.0
# The shell is gone at once, so the server is nobody's child: it becomes no zombie of a worker and
# no ResourceWarning when the one that started it exits before others who use it.
_DETACH = '"$@" </dev/null >"$0" 2>&1 & echo $!'


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server process as it is remembered in a file.

    ``mark`` is an argument of its command line that no other process has. ``stop`` is the ladder
    of signals, each with the seconds it is given.
    """

    pid: int
    mark: str
    stop: tuple[tuple[str, float], ...]


def environment() -> dict[str, str]:
    """The environment of servers and their tools: nothing that would configure them."""
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}


def launch(command: Sequence[str], *, account: Account, log: Path) -> int:
    """Start a server in a process session of its own, so that Ctrl-C does not reach it.

    Args:
        command: The server's program, which must stay in the foreground, and its arguments.
        account: As whom.
        log: Its standard output and error; made anew.

    Returns:
        The process id.
    """
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    account.give(log)
    shell = ["/bin/sh", "-c", _DETACH, str(log), *account.prefix, *command]
    try:
        started = subprocess.run(
            shell,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env=environment(),
            start_new_session=True,
            **account.identity(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerError(f"{command[0]} cannot be started: {error}") from error
    return int(started.stdout)


def run_tool(command: Sequence[str], *, account: Account, text: bytes = b"") -> str | None:
    """Run a program to its end, ``text`` at its input; None, or what it said when it failed."""
    try:
        done = subprocess.run(
            [*account.prefix, *command],
            check=False,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
            start_new_session=True,
            **account.identity(),
        )
    except OSError as error:
        return f"error: {command[0]} cannot be run: {error.strerror}"
    if done.returncode == 0:
        return None
    said = done.stdout.decode("utf-8", "replace").strip()
    return said or f"{command[0]} ended with status {done.returncode}"


def find(running: Running) -> psutil.Process | None:
    """The process, if it still runs and is the one meant."""
    import psutil

    try:
        process = psutil.Process(running.pid)
        if process.status() == psutil.STATUS_ZOMBIE or running.mark not in _command_line(process):
            return None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process


def _command_line(process: psutil.Process) -> list[str]:
    """The arguments; the kernel shows none for the moment in which a program is replaced."""
    deadline = time.monotonic() + _REPLACING_S
    while not (line := process.cmdline()) and time.monotonic() < deadline:
        time.sleep(_POLL_S / 10)
    return line


def stop(running: Running) -> None:
    """Stop the process: each signal of its ladder in turn, at last SIGKILL with its children."""
    for name, patience_s in running.stop:
        process = find(running)
        if process is None:
            return
        _send(process, signal.Signals[name])
        if _gone(running, patience_s):
            return
    process = find(running)
    if process is not None:
        for one in (process, *_children(process)):
            _send(one, signal.SIGKILL)
        _gone(running, 5.0)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _children(process: psutil.Process) -> list[psutil.Process]:
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _gone(running: Running, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while find(running) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
