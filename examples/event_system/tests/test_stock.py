"""Nothing is sold twice."""

import asyncio

import pytest

from tests.patience import eventually


async def test_the_last_lamp(system):
    await asyncio.gather(system.place("C-1", "lamp"), system.place("C-2", "lamp"))
    await eventually(lambda: system.count("dispatched"), 1)
    await eventually(lambda: system.count("rejected"), 1)
    assert await system.free("lamp") == 0


@pytest.mark.parametrize(("article", "sold"), [("chair", 5), ("table", 2)])
async def test_more_orders_than_goods(system, article, sold):
    for number in range(8):
        await system.place(f"D-{number}", article)
    await eventually(lambda: system.count("dispatched"), sold)
    assert await system.count("rejected") == 8 - sold


async def test_what_expires_can_be_sold_again(system):
    system.bank.be_away(3)
    await system.place("E-1", "lamp")
    await eventually(lambda: system.status("E-1"), "expired")
    await system.place("E-2", "lamp")
    await eventually(lambda: system.status("E-2"), "dispatched")


async def test_an_order_is_filled_whole_or_not_at_all(system, order):
    await order.place(article="table", quantity=3)
    await order.becomes("rejected")
    assert await system.free("table") == 2
