"""The pytest11 entry: hooks of a few lines each; the rooms do the work.

Heavy imports wait until a database is configured, a shard is asked for, or tests may be in flight
together.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slipstream import garbage, settings
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.marks import is_any_marked
from pytest_slipstream.noticing import Noticing

if TYPE_CHECKING:
    from pytest_slipstream.run import Run

_SETTINGS: pytest.StashKey[settings.Settings] = pytest.StashKey()
_RUN: pytest.StashKey[Run] = pytest.StashKey()
_NOTICING: pytest.StashKey[Noticing] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """All options, from the one table."""
    settings.register(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Fix the names and set the environment before any code of the user's is imported."""
    configured = settings.load(early_config.rootpath, early_config.known_args_namespace, os.environ)
    early_config.stash[_SETTINGS] = configured
    if configured.notices:
        early_config.stash[_NOTICING] = Noticing()
        early_config.add_cleanup(early_config.stash[_NOTICING].take_down)
        early_config.stash[_NOTICING].put_up()
    if configured.needs_run:
        with garbage.paused():
            from pytest_slipstream.run import Run

            early_config.stash[_RUN] = Run(configured, early_config)
            early_config.add_cleanup(early_config.stash[_RUN].close)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, where a database is configured, the rooms."""
    config.addinivalue_line(
        "markers",
        "db(isolation=None, database=None): the test uses these slipstream databases (all, if "
        "none is named), each cleaned by this isolation strategy.",
    )
    config.addinivalue_line(
        "markers",
        "concurrent(group=None, timeout=None, weight=1): the asynchronous test may be in flight "
        "with others: at most so many of its group; so many seconds for each of set-up, call and "
        "teardown; counted as so many tests.",
    )
    config.addinivalue_line("markers", "sequential: the test is never in flight with others.")
    configured = config.stash.get(_SETTINGS, settings.Settings())
    run = config.stash.get(_RUN, None)
    if configured.workers:
        _refuse_two_kinds_of_workers(configured, config)
    if _NOTICING in config.stash:
        config.pluginmanager.register(config.stash[_NOTICING], "slipstream-noticing")
    if run is not None:
        run.register(config)


def _refuse_two_kinds_of_workers(configured: settings.Settings, config: pytest.Config) -> None:
    option = config.option
    if getattr(option, "dist", "no") != "no" and getattr(option, "tx", ()):
        raise ConfigurationError(
            f"-n {option.numprocesses} and --workers {configured.workers} are both given, and only "
            "one of them can hand out the tests",
            hint="drop -n, and slipstream's workers run them; or drop --workers (in "
            "pyproject.toml: workers), and those of pytest-xdist do",
        )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """What is collected for workers stays as long as they do."""
    has_workers = session.config.stash.get(_SETTINGS, settings.Settings()).workers
    with garbage.paused() if has_workers else contextlib.nullcontext():
        return (yield)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say so where tests could be in flight together and are not."""
    configured = config.stash.get(_SETTINGS, settings.Settings())
    if configured.concurrency and _is_distributed(config):
        return (
            "slipstream: under pytest-xdist, asynchronous tests run one after another in each "
            "worker; leave out -n to have them in flight together"
        )
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object | None:
    """Run the tests, where asynchronous ones may be in flight together; else leave it to pytest."""
    config = session.config
    configured = config.stash.get(_SETTINGS, settings.Settings())
    worker = getattr(config, "slipstream_worker", None)
    broken = session.testsfailed and not config.option.continue_on_collection_errors
    if broken or config.option.collectonly or (worker is None and _is_distributed(config)):
        return None
    overlapping = configured.concurrency > 0 or is_any_marked(session.items, "concurrent")
    if worker is not None:
        config.stash[_RUN].run_as_spawned(session, worker, overlapping)
        return True
    queue = config.pluginmanager.get_plugin("slipstream-queue")
    if queue is not None:
        config.stash[_RUN].run_from_queue(session, queue, overlapping)
        return True
    if configured.workers and config.stash[_RUN].run_on_workers(session, overlapping):
        return True
    if not overlapping:
        return None
    if _RUN not in config.stash:
        from pytest_slipstream.run import Run

        config.stash[_RUN] = Run(configured, config)
        config.add_cleanup(config.stash[_RUN].close)
        config.stash[_RUN].register(config)
    config.stash[_RUN].run_tests(session)
    return True


def _is_distributed(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput") or config.pluginmanager.has_plugin("dsession")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """After the last fixture and the last worker: drop the slots, let go of the servers."""
    try:
        return (yield)
    finally:
        if _RUN in session.config.stash:
            session.exitstatus = session.config.stash[_RUN].finish(int(session.exitstatus))


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The run is over."""
    if _RUN in config.stash:
        config.stash[_RUN].unconfigure()
