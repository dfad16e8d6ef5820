"""Runs a command to its end and tells what it took.

The invariants: when `run` returns or raises, the command has ended, and its process group too if
it had to be ended; of its output only the end is held, however much it prints.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

import msgspec

from pytest_slipstream.clock import clock
from pytest_slipstream.errors import SlipstreamError

TAIL_BYTES = 16_384
_PIPE_BYTES = 1 << 20  # all that a pipe can hold
_FIRST_LOOK_S = 0.1
_LOOK_S = 0.5
_PATIENCE_S = 10.0
_Reaped = tuple[float, resource.struct_rusage]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A command that has ended. ``tail``: the end of what it printed, on both streams."""

    started_at: float
    wall_s: float
    user_s: float
    system_s: float
    exit_status: int
    tail: str


class LimitError(SlipstreamError):
    """The command did not end in time, and was ended."""


def run(
    command: Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str],
    limit_s: float,
    watch: Callable[[int, float], None],
) -> Ended:
    """Run a command.

    Args:
        command: The program and its arguments.
        directory: Where.
        environ: Its environment.
        limit_s: Seconds after which it is ended.
        watch: Called with the process id and the seconds so far, twice a second at most.

    Raises:
        LimitError: It took longer than ``limit_s``.
        SlipstreamError: It cannot be started.
    """
    started_at, began = clock.unix(), clock.seconds()
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, which can be ended as a whole
        )
    except OSError as error:
        raise SlipstreamError(f"{command[0]} cannot be run: {error.strerror}") from error
    assert process.stdout is not None
    gone = threading.Event()
    with process.stdout as output, ThreadPoolExecutor(2) as threads:
        reaped = threads.submit(_reap, process, gone)
        tail = threads.submit(_drain, output, gone)
        try:
            in_time = _follow(reaped, process.pid, watch, limit_s)
        finally:
            _end(process.pid, reaped)
        at, usage = reaped.result()
        said = tail.result()
    if not in_time:
        raise LimitError(
            f"{command[0]} had not ended after {limit_s:g} s, and was ended{last_lines(said)}",
            hint="find out where it hangs, or allow more seconds by `--limit`",
        )
    return Ended(
        started_at=started_at,
        wall_s=at - began,
        user_s=usage.ru_utime,
        system_s=usage.ru_stime,
        exit_status=process.returncode,
        tail=said,
    )


@contextmanager
def ended_like_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM and SIGHUP tidy up, too: Python's own answer to them is to die at once."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last_lines(tail: str, count: int = 20) -> str:
    """The end of a message: what the command said last."""
    lines = tail.strip().splitlines()[-count:]
    return "; its last lines were:\n" + "\n".join(lines) if lines else "; it printed nothing"


def _follow(
    reaped: Future[_Reaped], pid: int, watch: Callable[[int, float], None], limit_s: float
) -> bool:
    """Watch until it has ended; whether that was in time."""
    began = clock.seconds()
    pause_s = _FIRST_LOOK_S
    while not wait([reaped], timeout=pause_s).done:
        elapsed_s = clock.seconds() - began
        watch(pid, elapsed_s)
        if elapsed_s > limit_s:
            return False
        # A short run is looked at a few times, too.
        pause_s = min(_LOOK_S, elapsed_s, limit_s)
    return True


def _reap(process: subprocess.Popen[bytes], gone: threading.Event) -> _Reaped:
    """Wait for the process, in a thread: no polling rounds the seconds up."""
    _, status, usage = os.wait4(process.pid, 0)
    at = clock.seconds()
    process.returncode = os.waitstatus_to_exitcode(status)
    gone.set()
    return at, usage


def _drain(output: IO[bytes], gone: threading.Event) -> str:
    """Read to the end, or until the process has gone: what it left behind may hold the pipe."""
    tail = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            ended = gone.is_set()
            read = b""
            if ready := selector.select(timeout=0 if ended else _FIRST_LOOK_S):
                read = os.read(output.fileno(), _PIPE_BYTES)
                tail = (tail + read)[-TAIL_BYTES:]
            if ended or (ready and not read):
                return tail.decode("utf-8", "replace")


def _end(pid: int, reaped: Future[_Reaped]) -> None:
    """End the group of a process that still runs: by Ctrl-C, which tidies up, then by force."""
    if reaped.done():
        return
    try:
        _send(pid, signal.SIGINT)
        wait([reaped], timeout=_PATIENCE_S)
    finally:  # also for those that outlive the first of the group, and after another Ctrl-C
        _send(pid, signal.SIGKILL)


def _send(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
