"""Log records of tests that overlap: to the test that logged.

The invariant: one handler on the root logger serves all tests; a test sees its own records only,
at the levels that it has set itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_slipstream.running.flights import Flight, overlapping
from pytest_slipstream.running.pytest_internals import (
    LogCaptureFixture,
    LogCaptureHandler,
    LoggingPlugin,
    attribute,
    catching_logs,
    class_of,
)


class _Router(logging.Handler):
    """Hands a record to the handlers of the test whose code is running."""

    def __init__(self, levels: Levels, unclaimed: Callable[[str], None]) -> None:
        super().__init__()
        self._levels = levels
        self._unclaimed = unclaimed

    def handle(self, record: logging.LogRecord) -> bool:
        flight = overlapping()
        if flight is None:
            self._unclaimed(f"{self.format(record)}\n")
        elif self._levels.lets_through(record, flight):
            for handler in tuple(flight.log_handlers):
                if record.levelno >= handler.level:
                    handler.handle(record)
        return True


class Levels:
    """The levels that tests in flight have set: a logger has the lowest, a test sees its own."""

    def __init__(self) -> None:
        self._before: dict[str | None, int] = {}
        self._set: dict[Flight, dict[str | None, int]] = {}

    def set(self, flight: Flight, name: str | None, level: int) -> None:
        """Set the level of a logger for one test."""
        self._before.setdefault(name, logging.getLogger(name).level)
        self._set.setdefault(flight, {})[name] = level
        self._apply(name)

    def forget(self, flight: Flight, name: str | None) -> None:
        """Take a level back."""
        self._set.get(flight, {}).pop(name, None)
        if not self._set.get(flight):
            self._set.pop(flight, None)
        self._apply(name)

    def lets_through(self, record: logging.LogRecord, flight: Flight) -> bool:
        """Whether the test would see the record if it ran alone."""
        if not self._set:
            return True
        own = self._set.get(flight, {})
        name: str | None = record.name
        while True:
            key = None if name in ("root", "", None) else name
            level = own.get(key)
            if level is None:
                before = self._before.get(key)
                level = logging.getLogger(key).level if before is None else before
            if level or key is None:
                return record.levelno >= level
            name = key.rpartition(".")[0]

    def _apply(self, name: str | None) -> None:
        wanted = [levels[name] for levels in self._set.values() if name in levels]
        if wanted:
            inherited = self._before[name] or logging.getLogger(name).getEffectiveLevel()
            logging.getLogger(name).setLevel(min([*wanted, inherited]))
        elif name in self._before:
            logging.getLogger(name).setLevel(self._before.pop(name))


class RoutedLoggingPlugin(LoggingPlugin):
    """pytest's logging plugin, with handlers for each test in flight."""

    @property
    def caplog_handler(self) -> Any:
        return self._own("caplog_handler")

    @caplog_handler.setter
    def caplog_handler(self, handler: Any) -> None:
        self.__dict__["caplog_handler"] = handler

    @property
    def report_handler(self) -> Any:
        return self._own("report_handler")

    @report_handler.setter
    def report_handler(self, handler: Any) -> None:
        self.__dict__["report_handler"] = handler

    def _own(self, name: str) -> Any:
        flight = overlapping()
        if flight is None:
            return self.__dict__[name]
        if name not in flight.own_handlers:
            handler = LogCaptureHandler()
            handler.setFormatter(self.formatter)
            flight.own_handlers[name] = handler
        return flight.own_handlers[name]


class Logs:
    """The part of the run loop that deals with log records.

    Args:
        config: pytest's.
        unclaimed: Takes the lines of records that no test can be found for.
    """

    def __init__(self, config: pytest.Config, unclaimed: Callable[[str], None]) -> None:
        self._unclaimed = unclaimed
        self._plugin: Any = config.pluginmanager.get_plugin("logging-plugin")
        self._levels = Levels()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """For the whole run."""
        if self._plugin is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(class_of(self._plugin, RoutedLoggingPlugin))
            enter, leave = catching_logs.__enter__, catching_logs.__exit__
            stack.enter_context(attribute(catching_logs, "__enter__", _entering(enter)))
            stack.enter_context(attribute(catching_logs, "__exit__", _leaving(leave)))
            stack.enter_context(self._levels_of_tests())
            yield

    @contextlib.contextmanager
    def routed(self) -> Iterator[None]:
        """While tests overlap."""
        if self._plugin is None:
            yield
            return
        router = _Router(self._levels, self._unclaimed)
        router.setFormatter(self._plugin.formatter)
        with catching_logs(router, level=self._plugin.log_level):
            yield

    @contextlib.contextmanager
    def _levels_of_tests(self) -> Iterator[None]:
        levels = self._levels
        set_level, finalize = LogCaptureFixture.set_level, LogCaptureFixture._finalize
        at_level = LogCaptureFixture.at_level

        def set_one(fixture: Any, level: Any, logger: str | None = None) -> None:
            flight = overlapping()
            if flight is None:
                return set_level(fixture, level, logger)
            if fixture._initial_handler_level is None:
                fixture._initial_handler_level = fixture.handler.level
            fixture.handler.setLevel(level)
            fixture._initial_logger_levels.setdefault(logger, 0)
            return levels.set(flight, logger, _number(level))

        def finalize_all(fixture: Any) -> None:
            flight = overlapping()
            if flight is None:
                return finalize(fixture)
            if fixture._initial_handler_level is not None:
                fixture.handler.setLevel(fixture._initial_handler_level)
            for name in fixture._initial_logger_levels:
                levels.forget(flight, name)
            return None

        @contextlib.contextmanager
        def at_one(fixture: Any, level: Any, logger: str | None = None) -> Iterator[None]:
            flight = overlapping()
            if flight is None:
                with at_level(fixture, level, logger):
                    yield
                return
            before = fixture.handler.level
            fixture.handler.setLevel(level)
            levels.set(flight, logger, _number(level))
            try:
                yield
            finally:
                levels.forget(flight, logger)
                fixture.handler.setLevel(before)

        with (
            attribute(LogCaptureFixture, "set_level", set_one),
            attribute(LogCaptureFixture, "_finalize", finalize_all),
            attribute(LogCaptureFixture, "at_level", at_one),
        ):
            yield


def _number(level: int | str) -> int:
    if isinstance(level, int):
        return level
    return int(getattr(logging, level.upper(), logging.NOTSET))


def _entering(original: Any) -> Any:
    def enter(catching: Any) -> Any:
        flight = overlapping()
        if flight is None:
            return original(catching)
        if catching.level is not None:
            catching.handler.setLevel(catching.level)
        flight.log_handlers.append(catching.handler)
        return catching.handler

    return enter


def _leaving(original: Any) -> Any:
    def leave(catching: Any, *exception: Any) -> None:
        flight = overlapping()
        if flight is None:
            original(catching, *exception)
        elif catching.handler in flight.log_handlers:
            flight.log_handlers.remove(catching.handler)

    return leave
