"""A suite made faster as it is: what stands in for costly calls of libraries while pytest runs.

It needs no configured database. The invariant: after `close` every library is what it was.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_slipstream import record
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.hashing.hashing import CheapHashing
from pytest_slipstream.identity import identify
from pytest_slipstream.report.terminal import Summary
from pytest_slipstream.settings import Settings

if TYPE_CHECKING:
    from pytest_slipstream.run import Run


class Unchanged:
    """Made before the first conftest is loaded.

    Args:
        settings: With a switch for it.
        rootpath: The project's directory.
        run: The run of the configured databases, if there are any; its record is written to.
    """

    def __init__(self, settings: Settings, rootpath: Path, run: Run | None) -> None:
        self._settings = settings
        self._owner = run.owner if run is not None else identify(os.environ)
        self._record = run.record if run is not None else record.of_run(rootpath, self._owner)
        self._is_own_record = run is None
        self._memoising = Memoising(self._owner.testrun_uid, audit=settings.audit)
        self._hashing = CheapHashing()
        if settings.memoize:
            self._memoising.put_up()
        if settings.hashing == "cheap":
            self._hashing.put_up()

    def register(self, config: pytest.Config) -> None:
        """Learn which test runs; report at the end, where no run of databases does."""
        config.pluginmanager.register(self._hashing.cost, "slipstream-hashing")
        if self._is_own_record and self._owner.worker == "main":
            summary = Summary(self._settings.summary, self._record)
            config.pluginmanager.register(summary, "slipstream-summary")

    def finish(self) -> None:
        """Tell what was replaced."""
        self._memoising.report(self._record.write)
        self._hashing.cost.report(self._record.write)

    def close(self) -> None:
        """Put the libraries back as they were."""
        self._memoising.take_down()
        self._hashing.take_down()
        if self._is_own_record:
            self._record.close()
            if self._owner.worker == "main":
                record.forget_old(self._record.directory.parent)
