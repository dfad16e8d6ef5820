"""The system: workers that take messages from the queue, and the doors for its users."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app.bank import Bank, UnavailableError
from app.database import sessions
from app.handlers import HANDLERS
from app.models import Article, DeadLetter, Handled, Mail, Order
from app.queue import Message, Queue

RETRIES_S = (0.2, 0.4)


class System:
    """A running system."""

    def __init__(self) -> None:
        self.queue = Queue()
        self.bank = Bank()

    # For its users.

    async def place(self, number: str, article: str = "chair", quantity: int = 1) -> int:
        """Order something; the number must be new."""
        async with sessions.begin() as session:
            order = Order(number=number, article=article, quantity=quantity)
            session.add(order)
        self.queue.publish(Message("placed", order.id))
        return order.id

    async def status(self, number: str) -> str | None:
        """How an order stands."""
        return await _one(select(Order.status).where(Order.number == number))

    async def free(self, article: str) -> int | None:
        """How many are in stock."""
        return await _one(select(Article.free).where(Article.name == article))

    async def mails(self) -> list[str]:
        """The subjects of all mails that were sent."""
        async with sessions() as session:
            return list(await session.scalars(select(Mail.subject).order_by(Mail.id)))

    async def dead_letters(self) -> list[str]:
        """The keys of messages that nobody could handle."""
        async with sessions() as session:
            return list(await session.scalars(select(DeadLetter.key).order_by(DeadLetter.key)))

    async def count(self, status: str) -> int | None:
        """How many orders stand so."""
        return await _one(select(func.count()).where(Order.status == status))

    # The workers.

    async def work(self) -> None:
        """Handle messages until cancelled."""
        while True:
            message = await self.queue.take()
            try:
                await self._handle(message)
            except UnavailableError as error:
                await self._retry(message, str(error))

    async def _handle(self, message: Message) -> None:
        async with sessions.begin() as session:
            noted = insert(Handled).values(key=message.key).on_conflict_do_nothing()
            if not (await session.execute(noted)).rowcount:
                return
            order = await session.get_one(Order, message.order_id)
            following = await HANDLERS[message.topic](session, order, self.bank)
        for topic, after_s in following.items():
            self.queue.publish(Message(topic, message.order_id), after_s=after_s)

    async def _retry(self, message: Message, reason: str) -> None:
        if message.attempt <= len(RETRIES_S):
            again = replace(message, attempt=message.attempt + 1)
            self.queue.publish(again, after_s=RETRIES_S[message.attempt - 1])
            return
        async with sessions.begin() as session:
            session.add(DeadLetter(key=message.key, reason=reason))


async def _one(query: object) -> object:
    async with sessions() as session:
        return await session.scalar(query)


@asynccontextmanager
async def running(workers: int = 2) -> AsyncIterator[System]:
    """A system with workers, which end with the block."""
    system = System()
    tasks = [asyncio.create_task(system.work()) for _ in range(workers)]
    try:
        yield system
    finally:
        system.queue.close()
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if not isinstance(error, asyncio.CancelledError):
            raise error
