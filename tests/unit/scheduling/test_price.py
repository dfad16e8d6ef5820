"""What shards cost, worked out by hand."""

from __future__ import annotations

import pytest

from pytest_slipstream.scheduling.price import Offer, considered, offers
from pytest_slipstream.scheduling.suite import Suite, Test

MINUTES = Suite([Test(f"test_{n}.py::test", 60.0) for n in range(8)])


def test_each_machine_costs_its_start_and_the_build_waits_for_the_last():
    one, two, eight, sixteen = offers(MINUTES, (1, 2, 8, 16), 30.0, whole_minutes=False)
    assert one == Offer(1, 510.0, 510.0)
    assert two == Offer(2, 270.0, 540.0)
    assert eight == Offer(8, 90.0, 720.0)
    assert sixteen == Offer(16, 90.0, 8 * 90.0 + 8 * 30.0)
    assert two.for_a_minute_less(one) == 30 / 240
    assert eight.for_a_minute_less(two) == 1.0
    assert sixteen.for_a_minute_less(eight) is None


def test_minutes_that_have_begun_are_billed_on_each_machine():
    one, eight = offers(MINUTES, (1, 8), 30.0, whole_minutes=True)
    assert one.machine_s == 540.0
    assert eight.machine_s == 8 * 120.0
    assert eight.waiting_s == 90.0


@pytest.mark.parametrize(
    ("most", "numbers"),
    [(1, [1]), (2, [1, 2]), (7, [1, 2, 3, 4, 6, 7]), (16, [1, 2, 3, 4, 6, 8, 12, 16])],
)
def test_numbers_worth_a_look(most, numbers):
    assert considered(most) == numbers
