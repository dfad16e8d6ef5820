"""The bank, which is slow and at times away."""

import pytest

from tests.patience import eventually


@pytest.mark.parametrize("times", [1, 2])
async def test_the_bank_comes_back(system, order, times):
    system.bank.be_away(times)
    number = await order.place()
    await order.becomes("dispatched")
    assert system.bank.charged == [number]
    assert await system.dead_letters() == []


async def test_the_bank_stays_away(system, order):
    system.bank.be_away(3)
    number = await order.place()
    await eventually(system.dead_letters, [f"charge {number}"])
    await order.becomes("expired")
    assert await system.free("chair") == 5
    assert system.bank.charged == []


@pytest.mark.parametrize("quantity", [1, 5])
async def test_refused_orders_go_back_into_the_stock(system, order, quantity):
    system.bank.refuse()
    await order.place(quantity=quantity)
    await order.becomes("refused")
    assert await system.free("chair") == 5
    assert await system.mails() == ["Your order is refused"]


async def test_an_order_that_is_paid_does_not_expire(system, order):
    await order.place()
    await order.becomes("dispatched")
    later = await system.place("A-2", article="lamp")
    system.bank.be_away(3)
    await eventually(lambda: system.status("A-2"), "expired")
    assert await system.status("A-1") == "dispatched"
    assert await system.dead_letters() == [f"charge {later}"]
