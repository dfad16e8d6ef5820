"""The bank, as the sandbox of a payment service behaves: slow, and at times away."""

import asyncio

ANSWER_S = 0.3


class UnavailableError(Exception):
    """Try again later."""


class Bank:
    def __init__(self) -> None:
        self.charged: list[int] = []
        self.refunded: list[int] = []
        self._outages = 0
        self._refuses = False

    def be_away(self, times: int) -> None:
        """Do not answer the next calls."""
        self._outages = times

    def refuse(self) -> None:
        """Pay nothing from now on."""
        self._refuses = True

    async def charge(self, order_id: int) -> bool:
        """Whether the customer pays."""
        await asyncio.sleep(ANSWER_S)
        if self._outages:
            self._outages -= 1
            raise UnavailableError("the bank does not answer")
        if not self._refuses:
            self.charged.append(order_id)
        return not self._refuses

    async def refund(self, order_id: int) -> None:
        """Give the money back."""
        await asyncio.sleep(ANSWER_S)
        self.refunded.append(order_id)
