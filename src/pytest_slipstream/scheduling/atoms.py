"""Atoms: tests that one worker runs in order, because they share costly wider fixtures.

The invariant: every test is in exactly one atom, and a group is never split.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pytest_slipstream.scheduling.durations import split
from pytest_slipstream.scheduling.suite import Suite

PIECES = 32
"""How many atoms a worker gets, about: enough to balance, few enough to stay in order."""

REPEATED = 0.1
"""Splitting costs each further worker the shared fixtures; up to this share of the tests' own
time, an atom is split for balance alone."""


class Atom(msgspec.Struct, frozen=True, gc=False):
    """Tests that run on one worker, one after the other.

    Args:
        tests: Their positions in the suite, in order.
        seconds: What they are expected to take, without wider fixtures.
        fixtures: All wider fixtures that they need.
        family: The same for atoms that were cut from one file, or from what shares a fixture.
        urgent: Whether one of them is.
    """

    tests: tuple[int, ...]
    seconds: float
    fixtures: frozenset[str] = frozenset()
    family: str = ""
    urgent: bool = False


def atoms(suite: Suite, workers: int) -> list[Atom]:
    """The suite's atoms, in the order of their first tests.

    Args:
        suite: The tests.
        workers: How many will share them; it decides how finely the suite is cut.
    """
    share = suite.total_s / max(1, workers)
    grain = sum(test.seconds for test in suite.tests) / max(1, workers) / PIECES
    found = []
    for key, tests in _kept_together(suite).items():
        if key.startswith(_GROUP):
            found.append(_atom(suite, tests, key))
        elif key.startswith(_FILE):
            found += [_atom(suite, piece, key) for piece in _chunks(suite, tests, grain)]
        else:
            found += _pieces(suite, tests, key, workers, share, grain)
    return sorted(found, key=lambda atom: atom.tests[0])


_GROUP, _FILE, _FIXTURE = "group ", "file ", "fixture "


def _kept_together(suite: Suite) -> dict[str, list[int]]:
    """Positions of tests by group, by what binds them, or else by file."""
    leaders = _leaders(suite)
    together: dict[str, list[int]] = {}
    for position, test in enumerate(suite.tests):
        if test.group is not None:
            key = _GROUP + test.group
        else:
            bound = next((leaders[f] for f in test.fixtures if f in leaders), None)
            key = _FILE + split(test.node_id)[0] if bound is None else _FIXTURE + bound
        together.setdefault(key, []).append(position)
    return together


def _leaders(suite: Suite) -> dict[str, str]:
    """For each fixture that binds, one that stands for all that are linked to it by tests."""
    leaders = {key: key for key, fixture in suite.fixtures.items() if fixture.binds}

    def leader(key: str) -> str:
        while leaders[key] != key:
            leaders[key] = leaders[leaders[key]]
            key = leaders[key]
        return key

    for fixtures in dict.fromkeys(test.fixtures for test in suite.tests if test.group is None):
        binding = [leader(key) for key in fixtures if key in leaders]
        for key in binding:
            leaders[leader(key)] = leader(min(binding))
    return {key: leader(key) for key in leaders}


def _atom(suite: Suite, positions: Sequence[int], family: str) -> Atom:
    tests = [suite.tests[position] for position in positions]
    return Atom(
        tests=tuple(positions),
        seconds=sum(test.seconds for test in tests),
        fixtures=frozenset(key for test in tests for key in test.fixtures),
        family=family,
        urgent=any(test.urgent for test in tests),
    )


def _chunks(suite: Suite, positions: Iterable[int], most_s: float) -> Iterator[list[int]]:
    """Cut in order: no piece is longer than `most_s`, but for a single test."""
    piece: list[int] = []
    seconds = 0.0
    for position in positions:
        own = suite.tests[position].seconds
        if piece and seconds + own > most_s:
            yield piece
            piece, seconds = [], 0.0
        piece.append(position)
        seconds += own
    if piece:
        yield piece


def _pieces(
    suite: Suite, positions: list[int], family: str, workers: int, share: float, grain: float
) -> Iterator[Atom]:
    """Cut tests that share fixtures where it pays."""
    whole = _atom(suite, positions, family)
    cost = suite.fixture_seconds(key for key in whole.fixtures if suite.fixtures[key].binds)
    cheap = 1 + int(REPEATED * whole.seconds / cost) if cost else len(positions)
    for_balance = min(cheap, math.ceil(whole.seconds / grain) if grain else 1)
    pieces = max(for_balance, _needed(whole.seconds, cost, workers, share))
    if pieces == 1:
        yield whole
    else:
        for piece in _chunks(suite, positions, whole.seconds / pieces):
            yield _atom(suite, piece, family)


def _needed(seconds: float, cost: float, workers: int, share: float) -> int:
    """The fewest pieces that end about as soon as any number would, if all else is balanced.

    Each piece pays the fixtures.
    """

    def ends(pieces: int) -> float:
        return max(share + (pieces - 1) * cost / workers, seconds / pieces + cost)

    soonest = min(map(ends, range(1, workers + 1)))
    return next(n for n in range(1, workers + 1) if ends(n) <= (1 + REPEATED) * soonest)
