"""Waiting for what happens later."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 60.0
POLL_S = 0.1


async def eventually(check: Callable[[], Awaitable[object]], expected: object) -> None:
    """Ask until the answer is as expected."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while (found := await check()) != expected:
        assert asyncio.get_running_loop().time() < deadline, f"{found!r}, not {expected!r}"
        await asyncio.sleep(POLL_S)
