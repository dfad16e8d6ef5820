"""What is worth a line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_slipstream.noticing import HASHING, SCHEMA, is_covered, told


def test_both_switches_in_one_line() -> None:
    assert list(told({HASHING: 5.0, SCHEMA: 12.34}, 20.0)) == [
        "slipstream: schema work 12.3 s and password hashing 5.0 s of 20.0 s: --slipstream-memoize "
        "--slipstream-hashing cheap would save much of it (not to be told: --no-slipstream-notice)"
    ]


@pytest.mark.parametrize(
    ("taken_s", "whole_s", "lines"),
    [(0.99, 2.0, 0), (1.0, 2.0, 1), (1.0, 10.0, 1), (1.0, 10.1, 0), (0.0, 0.0, 0)],
)
def test_a_second_and_a_tenth(taken_s: float, whole_s: float, lines: int) -> None:
    assert len(list(told({SCHEMA: taken_s}, whole_s))) == lines


def has_dialect(name: str) -> object:
    return SimpleNamespace(dialect=SimpleNamespace(name=name))


def test_what_memoising_does_not_know_is_not_counted() -> None:
    metadata = object()

    assert is_covered(metadata, has_dialect("mysql"))
    assert is_covered(metadata, bind=has_dialect("sqlite"))
    assert not is_covered(metadata, has_dialect("oracle"))
    assert not is_covered(metadata)
    assert is_covered(has_dialect("postgresql"))  # a context of migrations
    assert is_covered(has_dialect("mysql"))
    assert not is_covered(has_dialect("oracle"))
