"""Which lane a test is on.

Pure: decides from the lanes' markers and paths. A marker says more than a path, and a nearer
marker more than a farther one: on the function, the class, the module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from pytest_slipstream.settings import LaneSettings


def by_markers(
    levels: Iterable[Collection[str]], lanes: Mapping[str, LaneSettings]
) -> tuple[str, ...]:
    """The lanes that the nearest level with a lane's marker names.

    Args:
        levels: The names of the markers on the test, on its class, on its module and so on.
        lanes: All lanes.

    Returns:
        Names of lanes: none, one, or several where one level has the markers of several.
    """
    for markers in levels:
        named = tuple(name for name, lane in lanes.items() if lane.marker in markers)
        if named:
            return named
    return ()


def by_path(path: str, lanes: Mapping[str, LaneSettings]) -> tuple[str, ...]:
    """The lanes one of whose patterns a test file matches.

    Args:
        path: Relative to pytest's rootdir, with slashes.
        lanes: All lanes.
    """
    return tuple(
        name
        for name, lane in lanes.items()
        if any(_matches(path, pattern.rstrip("/")) for pattern in lane.paths)
    )


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")
