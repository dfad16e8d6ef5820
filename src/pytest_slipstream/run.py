"""One process of one run: what it was configured with, its databases and its record."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_slipstream import __version__, events, record
from pytest_slipstream.databases.cache import cache_directory
from pytest_slipstream.databases.database import Surroundings
from pytest_slipstream.databases.fixtures import DatabaseFixtures, async_sessions
from pytest_slipstream.databases.hooks import CleanAfterTest, DatabaseHooks
from pytest_slipstream.databases.lanes.lanes import Lanes
from pytest_slipstream.databases.routing.door import Door
from pytest_slipstream.databases.routing.pools import Pools
from pytest_slipstream.identity import identify
from pytest_slipstream.progress import Progress
from pytest_slipstream.report.terminal import Summary
from pytest_slipstream.running.factories import SeededFactories
from pytest_slipstream.running.leftover_threads import LeftoverThreads
from pytest_slipstream.settings import Settings

if TYPE_CHECKING:
    from pytest_slipstream.running.queued.queueing import Queueing
    from pytest_slipstream.running.sources import Source
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
        self._progress = Progress()
        self._pools = Pools()
        self.door = Door(self.record.write)
        around = Surroundings(
            rootdir=config.rootpath,
            cache_dir=cache_directory(settings.cache_dir, os.environ),
            owner=self.owner,
            emit=self.record.write,
            progress=self._progress,
            pools=self._pools,
            door=self.door,
        )
        self.lanes = Lanes(settings, around)
        self._hooks: DatabaseHooks | None = None
        self._unchanged: Unchanged | None = None
        if settings.speeds_up_unchanged:
            from pytest_slipstream.unchanged import Unchanged

            self._unchanged = Unchanged(settings, self.owner.testrun_uid)
        if settings.databases:
            self.door.put_up()

    def register(self, config: pytest.Config) -> None:
        """Register the rooms that this process needs."""
        manager = config.pluginmanager
        self._progress.show_on(config)
        self.record.write(
            events.RunStarted(
                testrun_uid=self.owner.testrun_uid,
                version=__version__,
                python="{}.{}".format(*sys.version_info),
                system=sys.platform,
                databases=tuple(database.name for database in self.lanes.databases),
                lanes={
                    name: tuple(dict.fromkeys(one.engine for one in lane.databases.values()))
                    for name, lane in self.settings.lanes_to_run.items()
                },
            )
        )
        if self.settings.databases:
            self._register_databases(config)
        if self._unchanged is not None:
            self._unchanged.register(manager)
        manager.register(LeftoverThreads(self.record.write), "slipstream-threads")
        if self.owner.worker == "main":
            manager.register(Summary(self.settings.summary, self.record), "slipstream-summary")

    def _register_databases(self, config: pytest.Config) -> None:
        manager = config.pluginmanager
        manager.register(DatabaseFixtures(self.lanes), "slipstream-fixtures")
        manager.register(async_sessions(manager), "slipstream-async-fixture")
        hooks = DatabaseHooks(self.settings, self.lanes, self.record.write, self._pools)
        manager.register(hooks, "slipstream-databases")
        manager.register(CleanAfterTest(hooks), "slipstream-cleaning")
        if self.settings.seed_factories and not config.getoption("randomly_reset_seed", False):
            manager.register(SeededFactories(self.owner.worker), "slipstream-factories")
        if self.settings.lanes:
            from pytest_slipstream.databases.lanes.hooks import LaneHooks

            manager.register(LaneHooks(self.settings.every_lane, self.lanes), "slipstream-lanes")
        self._hooks = hooks

    def run_tests(self, session: pytest.Session, source: Source | None = None) -> None:
        """Run the collected tests, or those that a source hands out, in the run loop."""
        from pytest_slipstream.running import starting  # an ordinary run does without it

        manager = session.config.pluginmanager
        for name in ("slipstream-stopwatch", "slipstream-durations"):
            if manager.has_plugin(name):  # one stopwatch cannot tell tests apart that overlap
                manager.unregister(name=name)
        starting.run_tests(
            session, self.settings, self._reason_alone, self.record.write, source=source
        )

    def run_from_queue(
        self, session: pytest.Session, queueing: Queueing, overlapping: bool
    ) -> None:
        """Run what the queue hands out.

        Args:
            session: pytest's.
            queueing: This machine's part in the build.
            overlapping: Whether the tests are run in the run loop.
        """
        from pytest_slipstream.running.queued import starting

        def run(source: Source) -> None:
            if overlapping:
                self.run_tests(session, source)
            else:
                starting.one_after_the_other(session, source)

        queueing.run(session, run)

    def _reason_alone(self, item: pytest.Item) -> str:
        if self._hooks is None or not self._hooks.strategies(item):
            return ""
        return "owns a database slot"

    def preparing_s(self) -> float:
        """Seconds spent on servers, templates and slots so far, by whichever test came first."""
        return sum(database.preparing_s for database in self.lanes.databases)

    def finish(self, exit_status: int) -> None:
        """Drop the slots and let go of the servers; what fails there is reported by pytest."""
        if self._unchanged is not None:
            self._unchanged.report(self.record.write)
        self._close_databases()
        seconds = max((database.seconds_open for database in self.lanes.databases), default=0)
        self.record.write(events.RunFinished(exit_status=exit_status, server_seconds=seconds))

    def _close_databases(self) -> None:
        errors = []
        for database in self.lanes.databases:
            try:
                database.close()
            except Exception as error:  # noqa: BLE001 - each one must be closed
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Put the process back as it was; safe also where nothing was started."""
        try:
            self._close_databases()
        finally:
            if self._unchanged is not None:
                self._unchanged.close()
            self.door.take_down()
            self._pools.close()
            self.record.close()
            self.lanes.close()
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
