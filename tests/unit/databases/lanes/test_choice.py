from __future__ import annotations

import pytest

from pytest_slipstream.databases.lanes.choice import by_markers, by_path
from pytest_slipstream.settings import LaneSettings

LANES = {
    "fast": LaneSettings(databases={}, marker="fast"),
    "real": LaneSettings(databases={}, marker="e2e", paths=("tests/e2e/*", "smoke")),
    "slow": LaneSettings(databases={}, marker="slow", paths=("*/slow_*.py",)),
}


@pytest.mark.parametrize(
    ("levels", "lanes"),
    [
        ([], ()),
        ([["asyncio"], ["db"]], ()),
        ([["e2e", "asyncio"]], ("real",)),
        ([[], ["e2e"]], ("real",)),
        ([["fast"], ["e2e"]], ("fast",)),
        ([["slow", "e2e"], ["fast"]], ("real", "slow")),
        ([["real"]], ()),
    ],
)
def test_the_nearest_marker_says_which_lane(
    levels: list[list[str]], lanes: tuple[str, ...]
) -> None:
    assert by_markers(levels, LANES) == lanes


@pytest.mark.parametrize(
    ("path", "lanes"),
    [
        ("tests/test_a.py", ()),
        ("tests/e2e/test_a.py", ("real",)),
        ("tests/e2e/deep/test_a.py", ("real",)),
        ("smoke/test_a.py", ("real",)),
        ("smokescreen/test_a.py", ()),
        ("other/tests/e2e/test_a.py", ()),
        ("tests/e2e/slow_test.py", ("real", "slow")),
    ],
)
def test_paths(path: str, lanes: tuple[str, ...]) -> None:
    assert by_path(path, LANES) == lanes
