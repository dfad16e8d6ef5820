"""From the configuration and the collected tests to a pool of workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import pytest

from pytest_slipstream import garbage
from pytest_slipstream.running.collected import node_id, suite
from pytest_slipstream.running.history import RunHistory
from pytest_slipstream.running.sources import Source
from pytest_slipstream.running.workers import fork_safety, process
from pytest_slipstream.running.workers.choosing import choose, reason_for_none
from pytest_slipstream.running.workers.forking import Become, Forking
from pytest_slipstream.running.workers.pool import Atoms, Pool, StartWorker
from pytest_slipstream.running.workers.pulled import Pulled
from pytest_slipstream.running.workers.spawning import Spawning
from pytest_slipstream.running.workers.telling import Teller
from pytest_slipstream.running.workers.worker import RunTests, one_after_the_other
from pytest_slipstream.scheduling.atoms import atoms
from pytest_slipstream.scheduling.estimates import Estimates
from pytest_slipstream.scheduling.machine import machine_class, processors
from pytest_slipstream.scheduling.plan import plan
from pytest_slipstream.scheduling.prediction import Start, described, predict
from pytest_slipstream.scheduling.sharing import Sharing
from pytest_slipstream.scheduling.suite import Suite
from pytest_slipstream.settings import Settings

RunSource = Callable[[Source], None]
FORK = Start(once_s=0.05, each_s=0.03)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gives its workers.

    Args:
        run_overlapping: Runs what a source hands out in the run loop; None where no tests overlap.
        testrun_uid: The run's.
        become: Called in each worker before its first test, with its id.
        end: Called in each worker after its last fixture.
        sockets_before: The sockets that were open before the project's code was imported.
        apart: Entered around each fork: what cannot be copied is let go.
        sweep: Called in the parent when workers were lost, to drop what they left.
    """

    run_overlapping: RunTests | None
    testrun_uid: str
    become: Become
    end: Callable[[], None]
    sweep: Callable[[], None]
    sockets_before: Collection[int] = ()
    apart: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


def run_tests(session: pytest.Session, settings: Settings, parts: Parts) -> bool:
    """Run all collected tests on workers, if that is worth it.

    Returns:
        Whether they were run; if not, the caller runs them in sequence.
    """
    config = session.config
    if flag := reason_for_none(vars(config.option)):
        _say(config, f"{flag} runs the tests in sequence, without workers")
        return False
    forks = _forks(config, settings, parts)
    costs = FORK if forks else Start(once_s=0.0, each_s=process.age_s())
    known, unmeasured = _suite(session, settings)
    assert settings.workers is not None
    chosen = choose(known, settings.workers, processors(), costs)
    _say(config, described(predict(known, 0, costs), chosen, unmeasured))
    if not chosen.workers:
        return False
    found = atoms(known, chosen.workers)
    sharing = Sharing(known, found, plan(known, found, chosen.workers))
    start = _starting(session, parts, chosen.workers, forks=forks)
    _run(session, parts, sharing, start, min(chosen.workers, len(found)))
    return True


def runner(session: pytest.Session, settings: Settings, parts: Parts) -> RunSource | None:
    """What runs the tests of a source on workers; None where that is not to be.

    Nobody knows what the source will hand out, so nothing is predicted: ``auto`` is one worker for
    each processor.
    """
    config = session.config
    if flag := reason_for_none(vars(config.option)):
        _say(config, f"{flag} runs the tests in sequence, without workers")
        return None
    count = settings.workers if isinstance(settings.workers, int) else processors()
    if settings.workers == "auto" and count == 1:
        return None
    start = _starting(session, parts, count, forks=_forks(config, settings, parts))
    _say(config, f"{count} workers run what is pulled")

    def run(source: Source) -> None:
        _run(session, parts, Pulled(source, session.items), start, count)

    return run


def _run(
    session: pytest.Session, parts: Parts, shared: Atoms, start: StartWorker, count: int
) -> None:
    config = session.config
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.showfspath = False  # modules alternate: their names would fill the screen
    pool = Pool(session, shared, start, Teller(session, parts.testrun_uid), _writer(config))
    try:
        with garbage.frozen():
            pool.run(count)
    finally:
        if pool.lost:
            parts.sweep()


def _starting(session: pytest.Session, parts: Parts, count: int, *, forks: bool) -> StartWorker:
    if not forks:
        return Spawning(session.config, count, parts.testrun_uid).start
    process.prepare_to_fork(session.config)
    return Forking(
        session,
        parts.run_overlapping or one_after_the_other(session),
        count,
        parts.testrun_uid,
        parts.become,
        parts.end,
        parts.apart,
        overlapping=parts.run_overlapping is not None,
    ).start


def _forks(config: pytest.Config, settings: Settings, parts: Parts) -> bool:
    if settings.workers_start is not None:
        return settings.workers_start == "fork"
    reason = fork_safety.reason_against(parts.sockets_before)
    if reason:
        _say(config, f"workers are spawned, not forked, and each collects the tests: {reason}")
    return not reason


def _suite(session: pytest.Session, settings: Settings) -> tuple[Suite, int]:
    """The collected tests with what is known of them, and how many were never measured.

    Those that are to be first are urgent.
    """
    config = session.config
    history: Any = config.pluginmanager.get_plugin("slipstream-history")
    if history is None:
        path = config.rootpath / settings.durations_file
        history = RunHistory(path, path)
    estimates = Estimates(history.read(), machine_class())
    known = suite(session.items, estimates)
    unmeasured = sum(not estimates.knows(test.node_id) for test in known.tests)
    failed = _failed_before(config) if config.getoption("failedfirst", False) else {}
    new_first = config.getoption("newfirst", False)

    def is_urgent(item: pytest.Item) -> bool:
        return item.nodeid in failed or (new_first and not estimates.knows(node_id(item)))

    if failed or new_first:
        tests = [
            msgspec.structs.replace(test, urgent=is_urgent(item))
            for test, item in zip(known.tests, session.items, strict=True)
        ]
        known = Suite(tests, known.fixtures)
    return known, unmeasured


def _failed_before(config: pytest.Config) -> dict[str, bool]:
    cache = getattr(config, "cache", None)
    return cache.get("cache/lastfailed", {}) if cache is not None else {}


def _say(config: pytest.Config, line: str) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and config.get_verbosity() >= 0:
        terminal.write_line(f"slipstream: {line}")


def _writer(config: pytest.Config) -> Callable[[str, str], None]:
    """Writes a line of a worker's output, after what stands on the terminal's current line."""
    if not config.pluginmanager.has_plugin("terminalreporter"):
        return lambda worker_id, line: None
    terminal = config.get_terminal_writer()

    def write(worker_id: str, line: str) -> None:
        if terminal.width_of_current_line:
            terminal.line()
        terminal.line(f"[{worker_id}] {line}")

    return write
