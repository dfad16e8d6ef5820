"""From the configuration to a machine's part in a build, or to its shard where nobody answers."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Callable

import pytest

from pytest_slipstream import events
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.connection import QueueUnreachableError
from pytest_slipstream.running.history import RunHistory
from pytest_slipstream.running.queued.queueing import Queueing
from pytest_slipstream.running.sources import Line, Source
from pytest_slipstream.scheduling.builds import build_id, machine_name
from pytest_slipstream.scheduling.shards import AUTO, Shard, parse
from pytest_slipstream.settings import Settings

PLUGIN = "slipstream-queue"


def register(
    settings: Settings,
    config: pytest.Config,
    history: RunHistory,
    emit: Callable[[events.Event], None],
) -> Shard | None:
    """Register what takes part in the build.

    Returns:
        The shard that is run instead, where the queue cannot be reached.

    Raises:
        ConfigurationError: The queue refuses, or it cannot be reached and there is no shard.
    """
    refuse_pytest_xdist(config)
    url, identity = settings.queue or "", uuid.uuid4().hex
    otherwise = f"{socket.gethostname()}-{os.getpid()}"
    machine = machine_name(settings.machine, os.environ, otherwise)
    build = build_id(settings.build, os.environ, known_again=machine != otherwise)
    try:
        queueing = Queueing(
            lambda: Build(url, build, machine, identity, patience_s=settings.lease),
            settings,
            _kind(settings),
            history,
            emit,
        )
    except QueueUnreachableError as error:
        return _shard_instead(config, error)
    config.pluginmanager.register(queueing, PLUGIN)
    return None


def refuse_pytest_xdist(config: pytest.Config) -> None:
    """Only one of the two can hand out tests.

    Raises:
        ConfigurationError: ``-n`` is given.
    """
    option = config.option
    if getattr(option, "dist", "no") != "no" and getattr(option, "tx", ()):
        raise ConfigurationError(
            f"-n {option.numprocesses} and --queue are both given, and only one of them can hand "
            "out the tests",
            hint="drop -n: each process with --queue is a machine of the build",
        )


def _shard_instead(config: pytest.Config, error: QueueUnreachableError) -> Shard:
    try:
        shard = parse(AUTO, os.environ)
    except ConfigurationError as problem:
        raise ConfigurationError(
            f"{error.message}; and which shard to run instead is not known: {problem.message}",
            hint="start the queue's server, or set CI_NODE_INDEX (from 1) and CI_NODE_TOTAL",
        ) from error
    config.pluginmanager.register(Instead(f"{error.message}; shard {shard} is run instead"))
    return shard


class Instead:
    """Says that a shard is run, where it is read: at the top and at the end."""

    def __init__(self, line: str) -> None:
        self._line = f"slipstream: {line}"

    def pytest_report_header(self) -> str:
        """Say it before the tests."""
        return self._line

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it after them."""
        terminalreporter.write_line(self._line)


def _kind(settings: Settings) -> str:
    lanes = " and ".join(name for name, lane in settings.lanes_to_run.items() if lane.databases)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{lanes}{', ' if lanes else ''}Python {version}, {sys.platform}"


def one_after_the_other(session: pytest.Session) -> Callable[[Source], None]:
    """What runs the tests of a source as pytest's own loop does."""

    def run(source: Source) -> None:
        line = Line(source, lambda item: None)
        while line.first() is not None:
            item, nextitem = line.pop()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)

    return run
