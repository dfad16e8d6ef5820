"""From the order to its dispatch."""

import pytest
from sqlalchemy.exc import IntegrityError

from app.queue import Message
from tests.patience import eventually
from tests.stock import ARTICLES


@pytest.mark.parametrize("article", ARTICLES)
async def test_is_dispatched(system, order, article):
    await order.place(article=article)
    await order.becomes("dispatched")
    assert await system.free(article) == ARTICLES[article] - 1


async def test_is_paid_before_it_is_packed(system, order):
    number = await order.place()
    await order.becomes("paid")
    assert system.bank.charged == [number]
    assert await system.mails() == []


async def test_has_a_number_of_its_own(system, order):
    await order.place()
    with pytest.raises(IntegrityError):
        await order.place()
    await order.becomes("dispatched")


async def test_the_first_one_is_number_one(system, order):
    assert await order.place() == 1
    await order.becomes("reserved")


async def test_a_message_that_comes_twice_is_handled_once(system, order):
    number = await order.place(quantity=2)
    system.queue.publish(Message("placed", number))
    await order.becomes("dispatched")
    assert await system.free("chair") == 3
    assert system.bank.charged == [number]


@pytest.mark.parametrize("article", ["sofa", "chaise longue"])
async def test_of_what_is_not_sold_is_rejected(system, order, article):
    await order.place(article=article)
    await order.becomes("rejected")


async def test_several_at_once(system):
    for number in range(4):
        await system.place(f"B-{number}")
    await eventually(lambda: system.count("dispatched"), 4)
    assert await system.free("chair") == 1
