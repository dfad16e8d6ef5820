"""What the customers read."""

import asyncio

import pytest

from app.queue import Message
from tests.patience import eventually


async def test_one_for_a_dispatched_order(system, order):
    await order.place()
    await eventually(system.mails, ["Your order is on its way"])


async def test_one_for_an_order_that_expires(system, order):
    system.bank.be_away(3)
    await order.place()
    await eventually(system.mails, ["Your order is expired"])


@pytest.mark.parametrize("wait_s", [0.5, 1.0])
async def test_none_for_a_rejected_order(system, order, wait_s):
    await order.place(quantity=6)
    await order.becomes("rejected")
    await asyncio.sleep(wait_s)
    assert await system.mails() == []


async def test_money_back_is_told(system, order):
    number = await order.place(quantity=6)
    system.queue.publish(Message("refund", number))
    await eventually(system.mails, ["Your money is on its way back"])
    assert system.bank.refunded == [number]
