"""Whether lanes make sense: their names, markers and paths.

Pure. As in `verdicts`, each problem is a sentence's second half.
"""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword

from pytest_slipstream.settings.model import LaneSettings, Settings
from pytest_slipstream.settings.verdicts import key_problem, shared

ALL = "all"
_TAKEN_MARKERS = frozenset(
    ("db", "filterwarnings", "parametrize", "skip", "skipif", "usefixtures", "xfail")
)


def lane_key_problem(key: str) -> str | None:
    """Why ``key`` cannot name a lane, or None."""
    if key == ALL:
        return "stands for all lanes together, so no lane can have it"
    return key_problem(key)


def unknown_problem(name: str, known: Iterable[str]) -> str | None:
    """Why ``name`` is none of those that are configured, or None."""
    known = tuple(known)
    if name in known:
        return None
    return f"is not configured; there are: {', '.join(known) or 'none'}"


def lane_problems(settings: Settings) -> Iterable[tuple[str, str]]:
    """What is wrong with the lanes: pairs of a key below ``[tool.slipstream]`` and the problem."""
    if settings.default_lane in settings.lanes:
        yield (
            f"lanes.{settings.default_lane}",
            "is the default lane, which has the databases as they stand in "
            "[tool.slipstream.databases]",
        )
    elif problem := lane_key_problem(settings.default_lane):
        yield "default_lane", f"is {settings.default_lane!r}: the name {problem}"
    if settings.lane != ALL and settings.lane not in settings.every_lane:
        valid = ", ".join([*settings.every_lane, ALL])
        yield "lane", f"is {settings.lane!r}, and must be one of {valid}"
    for name, lane in settings.lanes.items():
        yield from _one_lane_problems(f"lanes.{name}", lane)
    if found := shared(settings.every_lane, lambda lane: [lane.marker]):
        marker, first, second = found
        yield f"lanes.{second}.marker", f"is {marker!r}, which is the marker of lane {first!r} too"


def _one_lane_problems(key: str, lane: LaneSettings) -> Iterable[tuple[str, str]]:
    if not lane.marker.isidentifier() or iskeyword(lane.marker):
        yield f"{key}.marker", f"is {lane.marker!r}, and must be a Python name"
    if lane.marker in _TAKEN_MARKERS:
        yield f"{key}.marker", f"is {lane.marker!r}, which has a meaning of its own"
    for pattern in lane.paths:
        if not pattern.strip() or pattern.startswith(("/", "./", "../")):
            yield f"{key}.paths", f"has {pattern!r}, which is not relative to pytest's rootdir"
