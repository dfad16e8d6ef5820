"""Registers what a run needs of scheduling: the recording of durations, the shard, the queue."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from pytest_slipstream import events
from pytest_slipstream.running.durations import DurationRecorder
from pytest_slipstream.running.history import RunHistory
from pytest_slipstream.running.stopwatch import Stopwatch
from pytest_slipstream.settings import Settings

SHARD = "slipstream_shard"
"""By what name the parent tells a worker that it has spawned which shard is run."""
HIDDEN: pytest.StashKey[dict[str, str]] = pytest.StashKey()
"""Environment variables that tests do not see; spawned workers are given them."""
_HIDDEN = ("SLIPSTREAM_QUEUE", "SLIPSTREAM_BUILD", "SLIPSTREAM_MACHINE")


def register(
    settings: Settings,
    config: pytest.Config,
    emit: Callable[[events.Event], None],
    stopwatch: Stopwatch,
) -> None:
    """Register the rooms that this process needs.

    Args:
        settings: Say what is recorded, and which shard is run or which queue is pulled from.
        config: pytest's.
        emit: Takes the events.
        stopwatch: Measures what is recorded.

    Raises:
        ConfigurationError: There is no such shard, or the queue refuses.
    """
    manager = config.pluginmanager
    path = config.rootpath / settings.durations_file
    history = RunHistory(path, path)
    shard = None
    told = getattr(config, "workerinput", None)
    named = settings.shard or (told or {}).get(SHARD)
    if named is not None:
        from pytest_slipstream.scheduling.shards import parse

        shard = parse(named, os.environ)
    elif settings.queue is not None and told is None and not config.option.collectonly:
        from pytest_slipstream.running.queued import starting

        shard = starting.register(settings, config, history, emit)
    if settings.queue is not None:
        _hide_queue(config)
    if shard is not None:
        from pytest_slipstream.running.sharding import Sharding

        history = RunHistory(path, path.with_suffix(f".{shard.number}-of-{shard.count}.json"))
        manager.register(Sharding(shard, history, emit), "slipstream-shard")
    manager.register(history, "slipstream-history")
    if settings.records_durations:
        manager.register(stopwatch, "slipstream-stopwatch")
        if told is None:
            manager.register(DurationRecorder(history), "slipstream-durations")


def _hide_queue(config: pytest.Config) -> None:
    """A test that starts a pytest of its own does not join the build with it."""
    hidden = {name: os.environ.pop(name) for name in _HIDDEN if name in os.environ}
    config.stash[HIDDEN] = hidden
    config.add_cleanup(lambda: os.environ.update(hidden))
