"""What happens to an order at each event. A handler says which events follow, and when."""

from collections.abc import Awaitable, Callable

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.bank import Bank
from app.models import Article, Mail, Order

EXPIRES_S = 6.0
PACKING_S = 0.5
Following = dict[str, float]
"""Topics, and in how many seconds they are due."""
Handler = Callable[[AsyncSession, Order, Bank], Awaitable[Following]]


async def placed(session: AsyncSession, order: Order, bank: Bank) -> Following:
    """Take the goods from the stock, if there are enough."""
    enough = (Article.name == order.article) & (Article.free >= order.quantity)
    taken = await session.execute(
        update(Article).where(enough).values(free=Article.free - order.quantity)
    )
    if not taken.rowcount:
        order.status = "rejected"
        return {}
    order.status = "reserved"
    return {"charge": 0, "expire": EXPIRES_S}


async def charge(session: AsyncSession, order: Order, bank: Bank) -> Following:
    """Have it paid; too late means that the money goes back."""
    paid = await bank.charge(order.id)
    await session.refresh(order, with_for_update=True)
    if paid and order.status == "expired":
        return {"refund": 0}
    if order.status != "reserved":
        return {}
    if not paid:
        await _give_back(session, order, "refused")
        return {}
    order.status = "paid"
    return {"dispatch": PACKING_S}


async def refund(session: AsyncSession, order: Order, bank: Bank) -> Following:
    """Give the money back."""
    await bank.refund(order.id)
    session.add(Mail(order_id=order.id, subject="Your money is on its way back"))
    return {}


async def dispatch(session: AsyncSession, order: Order, bank: Bank) -> Following:
    """Send the goods."""
    order.status = "dispatched"
    session.add(Mail(order_id=order.id, subject="Your order is on its way"))
    return {}


async def expire(session: AsyncSession, order: Order, bank: Bank) -> Following:
    """Put the goods of an order that was not paid back into the stock."""
    await session.refresh(order, with_for_update=True)
    if order.status == "reserved":
        await _give_back(session, order, "expired")
    return {}


async def _give_back(session: AsyncSession, order: Order, status: str) -> None:
    order.status = status
    article = Article.name == order.article
    await session.execute(update(Article).where(article).values(free=Article.free + order.quantity))
    session.add(Mail(order_id=order.id, subject=f"Your order is {status}"))


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler for handler in (placed, charge, refund, dispatch, expire)
}
