"""Says what takes time before the first test, while it takes it; silent where nothing does."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from pytest_slipstream.clock import clock

PATIENCE_S = 0.7


class Progress:
    """Shows a message once it has been true for `PATIENCE_S` seconds, and those that follow it.

    Called with what takes time now, and with "" when it is over.
    """

    def __init__(self) -> None:
        self._config: pytest.Config | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._message = ""
        self._since = 0.0
        self._shown = False

    def show_on(self, config: pytest.Config) -> None:
        """Where to write: pytest's terminal, if this process has one."""
        self._config = config

    def __call__(self, message: str) -> None:
        with self._lock:
            now = clock.seconds()
            if self._shown:
                self._write(message or f"ready after {now - self._since:.1f} s")
            if not message:
                self._stop()
                return
            if self._timer is None:
                self._since = now
                self._timer = threading.Timer(PATIENCE_S, self._show)
                self._timer.daemon = True
                self._timer.start()
            self._message = message

    def _show(self) -> None:
        with self._lock:
            if self._timer is not None and not self._shown:
                self._shown = True
                self._write(self._message)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._shown = None, False

    def _write(self, message: str) -> None:
        plugins = self._config.pluginmanager if self._config is not None else None
        terminal = plugins.get_plugin("terminalreporter") if plugins is not None else None
        if plugins is None or terminal is None:
            return
        capture: Any = plugins.get_plugin("capturemanager")
        visible: AbstractContextManager[Any] = (
            capture.global_and_fixture_disabled() if capture is not None else nullcontext()
        )
        with visible:
            terminal.ensure_newline()
            terminal.write_line(f"slipstream: {message}")
