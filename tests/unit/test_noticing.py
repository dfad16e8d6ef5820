"""What is worth a line."""

from __future__ import annotations

import pytest

from pytest_slipstream.noticing import HASHING, SCHEMA, told


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
