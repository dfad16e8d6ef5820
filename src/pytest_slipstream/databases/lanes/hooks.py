"""What a run with lanes does to pytest's collection: markers, choice and order.

The invariant: the tests of a lane come together, in pytest's own order, as if the lane were a run
of its own; so what wider fixtures make is made once for each lane.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from pytest_slipstream.databases.lanes.lanes import Lanes
from pytest_slipstream.settings import LaneSettings

Wrapper = Generator[None, Any, Any]


class LaneHooks:
    """Registered where lanes are configured."""

    def __init__(self, settings: Mapping[str, LaneSettings], lanes: Lanes) -> None:
        self._settings = settings
        self._lanes = lanes

    def pytest_configure(self, config: pytest.Config) -> None:
        """Register the lanes' markers."""
        for name, lane in self._settings.items():
            line = f"{lane.marker}: the test is on slipstream's lane {name!r}."
            config.addinivalue_line("markers", line)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Wrapper:
        """Mark by path before `-m` selects; choose and sort when all others have had their say."""
        for item in items:
            if not any(item.get_closest_marker(lane.marker) for lane in self._settings.values()):
                for name in self._lanes.by_path(item):
                    item.add_marker(self._settings[name].marker)
        result = yield
        lanes = {item: self._lanes.of(item) for item in items}
        left_out = [item for item in items if lanes[item] not in self._lanes.names]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
        items[:] = [item for name in self._lanes.names for item in items if lanes[item] == name]
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Wrapper:
        """With the last test of a lane go the wider fixtures that were made on it.

        Right after pytest's own part, so that whoever cleans up after a test does it later.
        """
        __tracebackhide__ = True
        try:
            return (yield)
        finally:
            if nextitem is not None and self._lanes.of(nextitem) != self._lanes.of(item):
                item.session._setupstate.teardown_exact(None)
