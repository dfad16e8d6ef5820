"""The pytest11 entry: hooks of a few lines each; the rooms do the work.

Heavy imports wait until a database is configured.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slipstream import garbage, settings

if TYPE_CHECKING:
    from pytest_slipstream.run import Run
    from pytest_slipstream.unchanged import Unchanged

_SETTINGS: pytest.StashKey[settings.Settings] = pytest.StashKey()
_RUN: pytest.StashKey[Run] = pytest.StashKey()
_UNCHANGED: pytest.StashKey[Unchanged] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """All options, from the one table."""
    settings.register(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Fix the names and set the environment before any code of the user's is imported."""
    configured = settings.load(early_config.rootpath, early_config.known_args_namespace, os.environ)
    early_config.stash[_SETTINGS] = configured
    if configured.databases:
        with garbage.paused():
            from pytest_slipstream.run import Run

            early_config.stash[_RUN] = Run(configured, early_config)
    if configured.speeds_up_unchanged:
        from pytest_slipstream.unchanged import Unchanged

        run = early_config.stash.get(_RUN, None)
        early_config.stash[_UNCHANGED] = Unchanged(configured, early_config.rootpath, run)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, where a database is configured, the rooms."""
    config.addinivalue_line(
        "markers",
        "db(isolation=None, database=None): the test uses these slipstream databases (all, if "
        "none is named), each cleaned by this isolation strategy.",
    )
    run = config.stash.get(_RUN, None)
    if run is not None:
        run.register(config)
    if _UNCHANGED in config.stash:
        config.stash[_UNCHANGED].register(config)
    configured = config.stash.get(_SETTINGS, settings.Settings())
    if configured.records_durations or configured.shard is not None:
        from pytest_slipstream.running import scheduled

        if run is None:
            scheduled.register(configured, config)
        else:
            scheduled.register(configured, config, run.record.write, run.preparing_s)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """After the last fixture and the last worker: drop the slots, let go of the servers."""
    try:
        return (yield)
    finally:
        if _UNCHANGED in session.config.stash:
            session.config.stash[_UNCHANGED].finish()
        if _RUN in session.config.stash:
            session.config.stash[_RUN].finish(int(session.exitstatus))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put the environment back; also when the session never started."""
    if _UNCHANGED in config.stash:
        config.stash[_UNCHANGED].close()
    if _RUN in config.stash:
        config.stash[_RUN].close()
