"""stdout and stderr of tests that overlap: to the test that wrote.

The invariant: pytest's own capturing stays switched on underneath, so that what no test can be
found for (file descriptors, threads without a context) is captured too, and never lost.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_slipstream.running.flights import Flight, overlapping
from pytest_slipstream.running.pytest_internals import (
    CaptureFixture,
    CaptureIO,
    CaptureManager,
    MultiCapture,
    SysCapture,
    attribute,
    class_of,
)

STREAMS = ("stdout", "stderr")


class _Router(io.TextIOBase):
    """Stands in ``sys``: writes to the running test's innermost capture.

    Args:
        name: ``stdout`` or ``stderr``.
        capture: pytest's own, which gets the output that no test can be found for.
    """

    def __init__(self, name: str, capture: Any) -> None:
        self._name = name
        self._capture = capture

    def _target(self) -> Any:
        flight = overlapping()
        stack = flight.streams[self._name] if flight is not None else None
        return stack[-1] if stack else beneath(self._capture)

    def write(self, text: str) -> int:
        return self._target().write(text)  # type: ignore[no-any-return]

    def flush(self) -> None:
        self._target().flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return beneath(self._capture).fileno()  # type: ignore[no-any-return]

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._target().encoding  # type: ignore[no-any-return]

    @property
    def errors(self) -> str:  # type: ignore[override]
        return self._target().errors  # type: ignore[no-any-return]

    @property
    def buffer(self) -> Any:
        return self._target().buffer


class _Held(SysCapture):
    """pytest's capture of one stream, which leaves ``sys`` alone: threads go on writing there."""

    def suspend(self) -> None:
        self._state = "suspended"

    def resume(self) -> None:
        self._state = "started"


def beneath(capture: Any) -> Any:
    """Where pytest lets output go: its own file, or the terminal."""
    return capture.tmpfile if capture._state == "started" else capture._old


class _TestCapture:
    """Does for one stream of one test what pytest's ``SysCapture`` does for the process."""

    def __init__(self, flight: Flight, name: str, empty: Any, *, tee: bool = False) -> None:
        self._stack = flight.streams[name]
        self._name = name
        self.EMPTY_BUFFER = empty
        self._beneath = self._stack[-1] if self._stack and tee else None
        self.tmpfile: Any = CaptureIO() if self._beneath is None else _Tee(self._beneath)
        self._state = "initialized"

    def start(self) -> None:
        self._stack.append(self.tmpfile)
        self._state = "started"

    resume = start

    def suspend(self) -> None:
        if self.tmpfile in self._stack:
            self._stack.remove(self.tmpfile)
        self._state = "suspended"

    def done(self) -> None:
        self.suspend()
        self.tmpfile.close()
        self._state = "done"

    def snap(self) -> Any:
        self.tmpfile.flush()
        taken = self.tmpfile.buffer.getvalue()
        self.tmpfile.seek(0)
        self.tmpfile.truncate()
        return taken if self.EMPTY_BUFFER == b"" else taken.decode("utf-8")

    def writeorg(self, data: Any) -> None:
        below = [stream for stream in self._stack if stream is not self.tmpfile]
        if below:
            below[-1].write(data.decode("utf-8", "replace") if isinstance(data, bytes) else data)


class _Tee(CaptureIO):
    def __init__(self, other: Any) -> None:
        super().__init__()
        self._other = other

    def write(self, text: str) -> int:
        super().write(text)
        return self._other.write(text)  # type: ignore[no-any-return]


class RoutedCaptureManager(CaptureManager):
    """pytest's capture manager, with what it keeps once kept for each test in flight."""

    @property
    def _capture_fixture(self) -> Any:
        flight = overlapping()
        return self.__dict__.get("_capture_fixture") if flight is None else flight.capture_fixture

    @_capture_fixture.setter
    def _capture_fixture(self, fixture: Any) -> None:
        flight = overlapping()
        if flight is None:
            self.__dict__["_capture_fixture"] = fixture
        else:
            flight.capture_fixture = fixture

    @contextlib.contextmanager
    def item_capture(self, when: str, item: pytest.Item) -> Iterator[None]:
        """Capture one phase of a test."""
        flight = overlapping()
        if flight is None:
            with super().item_capture(when, item):
                yield
            return
        captures = {name: _TestCapture(flight, name, "") for name in STREAMS}
        for capture in captures.values():
            capture.start()
        self.activate_fixture()
        try:
            yield
        finally:
            self.deactivate_fixture()
            for name, capture in captures.items():
                item.add_report_section(when, name, capture.snap())
                capture.done()

    @contextlib.contextmanager
    def global_and_fixture_disabled(self) -> Iterator[None]:
        """Write to the terminal: what ``capsys.disabled()`` does."""
        flight = overlapping()
        if flight is None:
            with super().global_and_fixture_disabled():
                yield
            return
        saved = {name: list(stack) for name, stack in flight.streams.items()}
        self.suspend_global_capture()
        for name, capture in _captures(self).items():
            flight.streams[name].append(beneath(capture))
        try:
            yield
        finally:
            for name, stack in flight.streams.items():
                stack[-1].flush()
                stack[:] = saved[name]
            self.resume_global_capture()


def _start(fixture: Any) -> None:
    """`CaptureFixture._start`, for a test in flight."""
    flight = overlapping()
    if flight is None:
        _ORIGINAL_START(fixture)
    elif fixture._capture is None:
        empty = fixture.captureclass.EMPTY_BUFFER
        tee = bool(getattr(fixture, "_config", {}).get("tee"))
        fixture._capture = MultiCapture(
            in_=None,
            out=_TestCapture(flight, "stdout", empty, tee=tee),  # type: ignore[arg-type]
            err=_TestCapture(flight, "stderr", empty, tee=tee),  # type: ignore[arg-type]
        )
        fixture._capture.start_capturing()


_ORIGINAL_START = CaptureFixture._start


class Output:
    """The part of the run loop that deals with output.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._manager: Any = config.pluginmanager.get_plugin("capturemanager")
        self.unclaimed: list[str] = []

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """For the whole run."""
        if self._manager is None:
            yield
            return
        with (
            class_of(self._manager, RoutedCaptureManager),
            attribute(CaptureFixture, "_start", _start),
        ):
            yield

    @contextlib.contextmanager
    def routed(self) -> Iterator[None]:
        """While tests overlap."""
        if self._manager is None or not self._manager.is_globally_capturing():
            yield
            return
        self._manager.resume_global_capture()
        with contextlib.ExitStack() as stack:
            stack.callback(self._manager.suspend_global_capture)
            for name, capture in _captures(self._manager).items():
                stack.enter_context(class_of(capture, _Held))
                stack.enter_context(attribute(sys, name, _Router(name, capture)))
            yield
        self._take()

    def _take(self) -> None:
        self.unclaimed.extend(filter(None, self._manager.read_global_capture()))

    def add_unclaimed(self, flight: Flight) -> None:
        """Show in a failed test's report what was written meanwhile by nobody that can be told."""
        if self._manager is None or not self._manager.is_globally_capturing():
            return
        self._take()
        text = "".join(self.unclaimed[flight.unclaimed_before :])
        for _, _, arguments, _ in flight.held:
            report: Any = arguments.get("report")
            if text and report is not None and report.failed:
                report.sections.append(("Captured output of tests in flight together", text))

    @contextlib.contextmanager
    def terminal(self) -> Iterator[None]:
        """For reporters: the terminal is the terminal."""
        if self._manager is None:
            yield
            return
        with self._manager.global_and_fixture_disabled():
            yield


def _captures(manager: Any) -> dict[str, Any]:
    """What stands behind ``sys.stdout`` and ``sys.stderr``, whichever way pytest captures."""
    capturing = manager._global_capturing
    captures = {"stdout": capturing.out, "stderr": capturing.err}
    return {name: getattr(capture, "syscapture", capture) for name, capture in captures.items()}
