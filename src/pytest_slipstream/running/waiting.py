"""Says what the run waits for, when no test has ended for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

import pytest

from pytest_slipstream.clock import clock
from pytest_slipstream.running.flights import Flight

PATIENCE_S = 3.0


class Waiting:
    """One line after `PATIENCE_S` seconds of silence, the next after twice as long, and so on.

    Args:
        config: pytest's.
        loop: The run's event loop.
        flights: The tests in flight.
        to_come: How many tests are known to come.
        visible: Within it, what is written to the terminal reaches it.
    """

    def __init__(
        self,
        config: pytest.Config,
        loop: asyncio.AbstractEventLoop,
        flights: Callable[[], Collection[Flight]],
        to_come: Callable[[], int],
        visible: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._loop = loop
        self._flights = flights
        self._to_come = to_come
        self._visible = visible
        self._timer: asyncio.TimerHandle | None = None
        self._patience_s = PATIENCE_S

    def begin(self) -> None:
        """Something has happened: the silence begins."""
        self.stop()
        self._patience_s = PATIENCE_S
        self._timer = self._loop.call_later(self._patience_s, self._say)

    def stop(self) -> None:
        """There is nothing to wait for."""
        if self._timer is not None:
            self._timer.cancel()

    def _say(self) -> None:
        self._patience_s *= 2
        self._timer = self._loop.call_later(self._patience_s, self._say)
        if self._terminal is not None and self._flights():
            with self._visible():
                self._terminal.ensure_newline()
                self._terminal.write_line(f"slipstream: {line(self._flights(), self._to_come())}")


def line(flights: Collection[Flight], to_come: int) -> str:
    """How many are in flight, and which of them waits longest."""
    longest = min(flights, key=lambda flight: flight.began)
    seconds = clock.seconds() - longest.began
    phase = f" in its {longest.phase}" if longest.phase else ""
    return (
        f"{len(flights)} in flight, {to_come} to come; longest: "
        f"{longest.item.nodeid}, {seconds:.0f} s{phase}"
    )
