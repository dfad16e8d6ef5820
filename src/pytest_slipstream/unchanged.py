"""A suite made faster as it is: what stands in for costly calls of libraries while pytest runs.

It needs no configured database. The invariant: after `close` every library is what it was.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_slipstream import events
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.shared_statements import SharedStatements
from pytest_slipstream.hashing.hashing import CheapHashing
from pytest_slipstream.settings import Settings


class Unchanged:
    """Made before the first conftest is loaded.

    Args:
        settings: Which of them are wished.
        testrun_uid: The run's.
    """

    def __init__(self, settings: Settings, testrun_uid: str) -> None:
        self._memoising = Memoising(testrun_uid, audit=settings.audit)
        self._statements = SharedStatements()
        self._hashing = CheapHashing()
        if settings.memoize:
            self._memoising.put_up()
        if settings.statements == "shared":
            self._statements.put_up()
        if settings.hashing == "cheap":
            self._hashing.put_up()

    def register(self, manager: pytest.PytestPluginManager) -> None:
        """Learn which test runs."""
        manager.register(self._hashing.cost, "slipstream-hashing")

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell what was replaced, and what was left alone."""
        self._memoising.report(emit)
        self._statements.report(emit)
        self._hashing.cost.report(emit)

    def close(self) -> None:
        """Put the libraries back as they were."""
        self._memoising.take_down()
        self._statements.take_down()
        self._hashing.take_down()
