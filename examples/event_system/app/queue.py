"""The queue: messages in the order in which they are due, at least once each."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    topic: str
    order_id: int
    attempt: int = 1

    @property
    def key(self) -> str:
        return f"{self.topic} {self.order_id}"


class Queue:
    def __init__(self) -> None:
        self._due: asyncio.Queue[Message] = asyncio.Queue()
        self._later: set[asyncio.TimerHandle] = set()

    def publish(self, message: Message, *, after_s: float = 0) -> None:
        """Have a worker take the message, when it is due."""
        if not after_s:
            self._due.put_nowait(message)
            return
        timer = asyncio.get_running_loop().call_later(after_s, self._due.put_nowait, message)
        self._later.add(timer)

    async def take(self) -> Message:
        """Wait for the next message."""
        return await self._due.get()

    def close(self) -> None:
        """Forget what is not due yet."""
        for timer in self._later:
            timer.cancel()
