"""One process of one run: what it was configured with, its databases and its record."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_slipstream import __version__, events, garbage, record
from pytest_slipstream.accounting.account import Account
from pytest_slipstream.accounting.connections import Connections
from pytest_slipstream.accounting.places import Places
from pytest_slipstream.accounting.statements import Statements
from pytest_slipstream.accounting.waits import Waits
from pytest_slipstream.identity import VARIABLE, identify
from pytest_slipstream.progress import Progress
from pytest_slipstream.report.at_end import ReportsAtEnd
from pytest_slipstream.report.terminal import Summary
from pytest_slipstream.running.leftover_threads import LeftoverThreads
from pytest_slipstream.settings import BudgetSettings, Settings

if TYPE_CHECKING:
    from pytest_slipstream.databases.embedding.embedding import Embedding
    from pytest_slipstream.databases.rooms import Rooms
    from pytest_slipstream.measure.budget_watch import BudgetWatch
    from pytest_slipstream.running.factories import SeededFactories
    from pytest_slipstream.running.queued.queueing import Queueing
    from pytest_slipstream.running.sources import Source
    from pytest_slipstream.running.workers.spawned import SpawnedWorker
    from pytest_slipstream.running.workers.starting import Parts
    from pytest_slipstream.unchanged import Unchanged

RECORDS_KEPT = 20


class Run:
    """Made before the first conftest is loaded; nothing is started by making it.

    Args:
        settings: With a database, a shard, tests that may be in flight together, or a switch for
            suites that are left as they are.
        config: pytest's.
    """

    def __init__(self, settings: Settings, config: pytest.Config) -> None:
        self.settings = settings
        self.owner = identify(os.environ)
        self._records = config.rootpath / ".slipstream" / "runs"
        self.record = record.Record(self._records / self.owner.testrun_uid, self.owner.worker)
        self._account = Account(self.record.write, detail=settings.detail)
        places = Places(config.rootpath) if settings.detail else None
        self._waits = Waits(self._account.whose, places)
        self._connections = Connections(self._account.charge, self._account.whose)
        self._statements = Statements(self._account.charge, self._connections.silence)
        self.record.listeners.append(self._account.heard)
        self._progress = Progress()
        self._rooms: Rooms | None = None
        self._factories: SeededFactories | None = None
        self._unchanged: Unchanged | None = None
        self._embedding: Embedding | None = None
        self._budgets: BudgetWatch | None = None
        self._reports: ReportsAtEnd | None = None
        self._has_run_none = False
        self._until_closed = ExitStack()
        if settings.every_database:
            from pytest_slipstream.databases.rooms import Rooms

            self._rooms = Rooms(
                settings,
                config.rootpath,
                self.owner,
                self.record.write,
                self._progress,
                self._connections,
            )
        if settings.embed:
            from pytest_slipstream.databases.cache import cache_directory
            from pytest_slipstream.databases.embedding.embedding import Embedding

            self._embedding = Embedding(
                settings.embed,
                cache_dir=cache_directory(settings.cache_dir, os.environ),
                testrun_uid=self.owner.testrun_uid,
                progress=self._progress,
            )
            self._embedding.put_up()
        if settings.speeds_up_unchanged:
            from pytest_slipstream.unchanged import Unchanged

            self._unchanged = Unchanged(settings, self.owner.testrun_uid)
        if self._rooms is not None:
            self._rooms.put_up()
            self._connections.put_up()
        self._statements.put_up()
        self._waits.put_up()
        self._account.imports.put_up()
        self._sockets = frozenset[int]()
        if settings.workers:
            from pytest_slipstream.running.workers import fork_safety

            self._sockets = fork_safety.sockets()

    def register(self, config: pytest.Config) -> None:
        """Register the rooms that this process needs."""
        manager = config.pluginmanager
        self._progress.show_on(config)
        self._write_started()
        if self._rooms is not None:
            self._rooms.register(manager)
            self._register_factories(config)
        if self.settings.workers and not manager.has_plugin("xdist"):
            from pytest_slipstream.running.workers import fixtures

            manager.register(fixtures, "slipstream-workers")
        if self._unchanged is not None:
            self._unchanged.register(manager)
        if self._embedding is not None:
            manager.register(self._embedding, "slipstream-embedding")
        manager.register(LeftoverThreads(self.record.write), "slipstream-threads")
        if self.owner.worker == "main":
            manager.register(Summary(self.settings.summary, self.record), "slipstream-summary")
            self._reports = ReportsAtEnd(self.settings, config.rootpath, self.record)
            manager.register(self._reports, "slipstream-reports")
            self._register_budgets(config)
        manager.register(self._account, "slipstream-account")
        self._register_scheduling(config)

    def _register_scheduling(self, config: pytest.Config) -> None:
        if self.settings.records_durations or self.settings.shares_build:
            with garbage.paused():
                from pytest_slipstream.running import scheduled
                from pytest_slipstream.running.stopwatch import Stopwatch
            stopwatch = Stopwatch(float if self._rooms is None else self._rooms.preparing_s)
            scheduled.register(self.settings, config, self.record.write, stopwatch)
            if self.settings.records_durations:
                self._account.stopwatch = stopwatch

    def _register_budgets(self, config: pytest.Config) -> None:
        if self.settings.budget != BudgetSettings():
            from pytest_slipstream.measure.budget_watch import BudgetWatch

            self._budgets = BudgetWatch(self.settings, config.rootpath, self.record)
            config.pluginmanager.register(self._budgets, "slipstream-budgets")

    def _register_factories(self, config: pytest.Config) -> None:
        if self.settings.seed_factories and not config.getoption("randomly_reset_seed", False):
            from pytest_slipstream.running.factories import SeededFactories

            self._factories = SeededFactories(self.owner.worker)
            config.pluginmanager.register(self._factories, "slipstream-factories")

    def run_tests(self, session: pytest.Session, source: Source | None = None) -> None:
        """Run the collected tests, or those that a source hands out, in the run loop."""
        from pytest_slipstream.running import starting  # an ordinary run does without it

        manager = session.config.pluginmanager
        for name in ("slipstream-stopwatch", "slipstream-durations"):
            if manager.has_plugin(name):  # one stopwatch cannot tell tests apart that overlap
                manager.unregister(name=name)
        self._account.stopwatch = None
        self._account.running = starting.running
        if self._rooms is None:
            starting.run_tests(session, self.settings, self.record.write, source=source)
            return
        with self._rooms.in_flight(starting.end_tasks) as flights:
            starting.run_tests(session, self.settings, self.record.write, flights, source)

    def run_on_workers(self, session: pytest.Session, overlapping: bool) -> bool:
        """Run the collected tests on workers, if that is worth it.

        Args:
            session: pytest's.
            overlapping: Whether each worker runs them in the run loop.

        Returns:
            Whether they were run.
        """
        from pytest_slipstream.running.workers import starting as workers

        self._has_run_none = workers.run_tests(
            session, self.settings, self._parts(session, overlapping)
        )
        return self._has_run_none

    def run_from_queue(
        self, session: pytest.Session, queueing: Queueing, overlapping: bool
    ) -> None:
        """Run what the queue hands out, on workers or here.

        Args:
            session: pytest's.
            queueing: This machine's part in the build.
            overlapping: Whether each process runs them in the run loop.
        """
        run: Callable[[Source], None] | None = None
        if self.settings.workers:
            from pytest_slipstream.running.workers import starting as workers

            parts = self._parts(session, overlapping)
            parts = msgspec.structs.replace(parts, apart=queueing.apart)
            with queueing.apart():
                run = workers.runner(session, self.settings, parts)
        if run is None:
            from pytest_slipstream.running.queued import starting

            run = (
                self._run_in_loop(session) if overlapping else starting.one_after_the_other(session)
            )
        queueing.run(session, run)

    def _parts(self, session: pytest.Session, overlapping: bool) -> Parts:
        from pytest_slipstream.running.workers.starting import Parts

        return Parts(
            run_overlapping=self._run_in_loop(session) if overlapping else None,
            testrun_uid=self.owner.testrun_uid,
            become=self._become_worker,
            end=self._end_worker,
            sweep=self._rooms.sweep if self._rooms is not None else lambda: None,
            sockets_before=self._sockets,
        )

    def run_as_spawned(
        self, session: pytest.Session, worker: SpawnedWorker, overlapping: bool
    ) -> None:
        """Run the tests that the parent hands out."""
        worker.run_tests(session, self._run_in_loop(session) if overlapping else None)

    def _run_in_loop(self, session: pytest.Session) -> Callable[[Source], None]:
        return lambda source: self.run_tests(session, source)

    def _become_worker(self, worker_id: str) -> None:
        """In a forked process: be this worker of the run from now on."""
        os.environ.pop(VARIABLE, None)
        self.owner = msgspec.structs.replace(self.owner, worker=worker_id)
        self.record.continue_as(worker_id)
        self._account.continue_as_worker()
        if self._embedding is not None:
            self._embedding.continue_as_worker()
        if self._rooms is not None:
            self._rooms.move(self.owner)
        if self._factories is not None:
            self._factories.continue_as(worker_id)
        self._write_started()

    def _write_started(self) -> None:
        self.record.write(
            events.RunStarted(
                testrun_uid=self.owner.testrun_uid,
                version=__version__,
                python="{}.{}".format(*sys.version_info),
                system=sys.platform,
                databases=() if self._rooms is None else self._rooms.names,
                lanes={
                    name: tuple(dict.fromkeys(one.engine for one in lane.databases.values()))
                    for name, lane in self.settings.lanes_to_run.items()
                },
            )
        )

    def _end_worker(self) -> None:
        self.finish(0)
        self.record.close()

    def finish(self, exit_status: int) -> int:
        """Drop the slots and let go of the servers; what fails there is reported by pytest.

        Returns:
            The exit status of the run, which a budget may change.
        """
        if self._unchanged is not None:
            self._unchanged.report(self.record.write)
        if self._embedding is not None:
            self._embedding.report(self.record.write)
        seconds = 0.0
        if self._rooms is not None:
            self._rooms.close()
            seconds = self._rooms.seconds_open
        self._account.finish()
        reporting = self.owner.worker == "main"  # a forked worker has its parent's plugins
        if self._budgets is not None and reporting:
            exit_status = self._budgets.judge(exit_status)
        self.record.write(events.RunFinished(exit_status=exit_status, server_seconds=seconds))
        if self._reports is not None and reporting:
            self._reports.finish(self.owner.testrun_uid)
        return exit_status

    def unconfigure(self) -> None:
        """Pytest is about to look twice for what tests left behind: not where none was run."""
        garbage.spared_at_exit()
        if self._has_run_none:
            self._until_closed.enter_context(garbage.frozen())

    def close(self) -> None:
        """Put the process back as it was; safe also where nothing was started."""
        try:
            if self._rooms is not None:
                self._rooms.close()
        finally:
            if self._unchanged is not None:
                self._unchanged.close()
            self._account.imports.take_down()
            self._waits.take_down()
            self._statements.take_down()
            self._connections.take_down()
            if self._rooms is not None:
                self._rooms.take_down()
            if self._embedding is not None:
                self._embedding.take_down()
            self.record.close()
            self._until_closed.close()
            if self.owner.worker == "main":
                _forget_old(self._records)


def _forget_old(records: Path) -> None:
    if not records.is_dir():
        return
    ignore = records.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("runs/\nmerged/\n")
    runs = sorted(records.iterdir(), key=lambda run: run.stat().st_mtime_ns)
    for run in runs[:-RECORDS_KEPT]:
        if run.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(run, ignore_errors=True)
