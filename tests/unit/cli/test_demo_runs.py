"""The demo's figures: made of times that were measured."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.demo_runs import evenly, mean_interval


@pytest.mark.parametrize(
    ("at", "mean"), [([], 0.0), ([5.0], 0.0), ([1.0, 2.0, 4.0], 1.5), ([0.0, 0.25], 0.25)]
)
def test_mean_interval(at, mean):
    assert mean_interval(at) == mean


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [(1, "a"), (2, "ad"), (3, "ace"), (6, "abcdef"), (9, "abcdef")],
)
def test_tests_are_chosen_from_all_over_the_suite(wanted, chosen):
    assert evenly("abcdef", wanted) == list(chosen)
