"""Shards beside pytest-split's two algorithms, on suites made like those of three public projects.

The projects publish what their tests take (pytest-split's ``.test_durations``); here are the
parameters of those files: how many tests, in how many files, how logarithms of seconds are
distributed among files and within one, and the longest test.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pytest_split.algorithms import Algorithms

from benchmarks.measuring import Findings, Row, Target
from pytest_slipstream.scheduling.shards import split
from pytest_slipstream.scheduling.suite import Suite, Test

SHARDS = 8
VARIES = 0.35
"""The standard deviation of the logarithm of what one test takes from run to run."""


class Project(NamedTuple):
    """A suite's parameters; ``mean``, ``between`` and ``within`` are of logarithms of seconds."""

    name: str
    tests: int
    files: int
    mean: float
    between: float
    within: float
    longest_s: float


PROJECTS = (
    Project("hypha", 1774, 88, -3.59, 1.96, 0.90, 41.6),
    Project("onegov-cloud", 3592, 509, -0.93, 2.38, 1.20, 77.6),
    Project("pgmpy", 1196, 65, -5.24, 2.25, 1.45, 221.1),
)


class Item(NamedTuple):
    """What pytest-split asks of a test."""

    nodeid: str


def shards(_: int) -> Findings:
    """The longest of 8 shards, and how many files are imported and set up in all of them."""
    rows: list[Row] = []
    targets: list[Target] = []
    for project in PROJECTS:
        known = recorded(project)
        chance = random.Random(1)
        taken = {name: s * chance.lognormvariate(0, VARIES) for name, s in known.items()}
        found = {"slipstream": _ours(known)}
        found |= {f"pytest-split, {name}": _theirs(known, name) for name in Algorithms.names()}
        for when, seconds in (("as recorded", known), ("varying by a third", taken)):
            group = f"{SHARDS} shards of {project.tests} tests, like {project.name}: {when}"
            rows.append(Row(group, "lower bound", _bound_s(seconds), None, 1))
            for name, split_up in found.items():
                files = sum(len({_file(test) for test in shard}) for shard in split_up)
                longest_s = _longest_s(split_up, seconds)
                rows.append(Row(group, f"{name}; {files} files set up", longest_s, None, 1))
        ratio = _longest_s(found["slipstream"], known) / _bound_s(known)
        targets.append(Target(f"longest of {SHARDS} shards, like {project.name}", ratio, 1.05, "x"))
    return Findings(tuple(rows), tuple(targets))


def _bound_s(seconds: dict[str, float]) -> float:
    """No split is faster."""
    return max(math.fsum(seconds.values()) / SHARDS, *seconds.values())


def recorded(project: Project) -> dict[str, float]:
    """Seconds by node id, in files of sizes that differ as they do."""
    chance = random.Random(project.name)
    usual = [chance.gauss(project.mean, project.between) for _ in range(project.files)]
    sizes = [chance.lognormvariate(0, 1) for _ in usual]
    files = sorted(chance.choices(range(project.files), sizes, k=project.tests))
    seconds = {
        f"tests/test_{file:03}.py::test_{n}": min(
            project.longest_s, math.exp(chance.gauss(usual[file], project.within))
        )
        for n, file in enumerate(files)
    }
    seconds[max(seconds, key=seconds.__getitem__)] = project.longest_s
    return seconds


def _ours(known: dict[str, float]) -> list[list[str]]:
    names = list(known)
    found = split(Suite([Test(*one) for one in known.items()]), SHARDS)
    return [[names[position] for position in shard] for shard in found.shards]


def _theirs(known: dict[str, float], algorithm: str) -> list[list[str]]:
    groups = Algorithms[algorithm].value(SHARDS, [Item(name) for name in known], known)
    return [[item.nodeid for item in group.selected] for group in groups]


def _longest_s(shards: Iterable[Sequence[str]], seconds: dict[str, float]) -> float:
    return max(sum(seconds[name] for name in shard) for shard in shards)


def _file(node_id: str) -> str:
    return node_id.partition("::")[0]
