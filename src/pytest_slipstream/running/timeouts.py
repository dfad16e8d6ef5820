"""Deadlines of tests in flight, and the watchdog over the event loop that they share.

The invariant: time that one test blocks the loop is given back to all others, and the test that
blocks it beyond its own deadline is the one that fails, with the stack of where it blocks.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_slipstream.clock import clock

BEAT_S = 0.05
BLOCKED_S = 0.25
AGAIN_S = 1.0


class _Deadline:
    def __init__(self, limit_s: float, message: str, lost_s: float) -> None:
        self.message = message
        self.at = clock.seconds() + limit_s
        self.lost_s = lost_s
        self.timer: asyncio.TimerHandle | None = None


class Deadlines:
    """The deadlines of one test; the first that passes ends what the test waits for.

    Args:
        node_id: The test.
        loop: The run's event loop.
        cancel: Ends what the test waits for, with the failure to raise there.
    """

    def __init__(
        self,
        node_id: str,
        loop: asyncio.AbstractEventLoop,
        cancel: Callable[[BaseException], None],
    ) -> None:
        self._node_id = node_id
        self._loop = loop
        self._cancel = cancel
        self._running: dict[str, _Deadline] = {}
        self.watchdog: Watchdog | None = None

    def start(self, name: str, limit_s: float, message: str) -> None:
        """Start a deadline; ``message`` is the failure's."""
        self.stop(name)
        deadline = _Deadline(limit_s, message, self._lost_s())
        self._running[name] = deadline
        self._arm(deadline)

    def stop(self, name: str) -> None:
        """Stop a deadline, if it runs."""
        deadline = self._running.pop(name, None)
        if deadline is not None and deadline.timer is not None:
            deadline.timer.cancel()

    def failure(self, *, blocked: bool = False) -> BaseException | None:
        """What to raise now: the failure of a deadline that has passed."""
        for deadline in self._running.values():
            if clock.seconds() >= deadline.at:
                why = "; it blocks the event loop: every other test waits" if blocked else ""
                # Once is enough: what follows is the test's own clean-up.
                deadline.at = float("inf")
                return pytest.fail.Exception(f"{deadline.message}{why}")
        return None

    def _arm(self, deadline: _Deadline) -> None:
        delay_s = max(0.0, deadline.at - clock.seconds())
        deadline.timer = self._loop.call_later(delay_s, self._expire, deadline)

    def _expire(self, deadline: _Deadline) -> None:
        if deadline not in self._running.values():
            return
        lost_s, deadline.lost_s = self._lost_s() - deadline.lost_s, self._lost_s()
        if lost_s > 0:
            deadline.at += lost_s
            self._arm(deadline)
            return
        # A test that swallows the cancellation is cancelled again.
        deadline.timer = self._loop.call_later(AGAIN_S, self._expire, deadline)
        self._cancel(pytest.fail.Exception(deadline.message))

    def _lost_s(self) -> float:
        return self.watchdog.lost_s if self.watchdog is not None else 0.0


class Watchdog:
    """Notices that the loop does not turn.

    Args:
        loop: The run's event loop.
        interrupt: Called in the main thread, in the context of the code that runs, again and again
            while the loop does not turn; what it raises is raised there.
        blocked: Told after the loop was blocked, and for how many seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interrupt: Callable[[], None],
        blocked: Callable[[float], None],
    ) -> None:
        self._loop = loop
        self._interrupt = interrupt
        self._blocked = blocked
        self._last = clock.seconds()
        self._turning = False
        self._ended = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="slipstream-watchdog", daemon=True)
        self._old_handler: Any = None
        self._seen: tuple[float, object] = (0.0, None)
        self._seen_at = 0.0
        self.lost_s = 0.0

    def start(self) -> None:
        """Watch until `stop`; while the loop is stopped, nothing is blocked."""
        if _SIGNAL is not None and threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(_SIGNAL, lambda *_: self._interrupt())
            self._thread.start()

    def stop(self) -> None:
        """Put the process back as it was."""
        if self._thread.is_alive():
            self._ended.set()
            self._thread.join()
            assert _SIGNAL is not None
            signal.signal(_SIGNAL, self._old_handler)

    def turn(self) -> None:
        """The loop begins to run."""
        self._last = clock.seconds()
        self._turning = True
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def rest(self) -> None:
        """The loop stops."""
        self._turning = False
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        now = clock.seconds()
        late_s = now - self._last - BEAT_S
        self._last = now
        if late_s > BLOCKED_S:
            self.lost_s += late_s
            self._blocked(late_s)
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        assert _SIGNAL is not None
        while not self._ended.wait(BLOCKED_S / 2):
            if self._turning and clock.seconds() - self._last > BEAT_S + BLOCKED_S:
                signal.pthread_kill(main, _SIGNAL)

    def is_blocked_by(self, suspect: object) -> bool:
        """Whether the same code is found running again and again, between two turns of the loop.

        A turn in which a thousand tests each take their step is long, too, and nobody's fault.
        """
        now, seen = clock.seconds(), (self._last, suspect)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at >= BLOCKED_S


# Ignored by default and used by hardly anyone; not SIGALRM, which is pytest-timeout's.
_SIGNAL: signal.Signals | None = getattr(signal, "SIGURG", None)
