"""Synchronous code that waits."""

from __future__ import annotations

import asyncio
import contextvars
import time

import pytest

from pytest_slipstream.running import fibers

VARIABLE = contextvars.ContextVar("variable", default="unset")


def test_a_fiber_waits_in_its_own_task():
    def work() -> list[object]:
        return [fibers.wait(name()) for _ in range(2)]

    async def name() -> str:
        await asyncio.sleep(0.01)
        return asyncio.current_task().get_name()

    async def main() -> list[object]:
        return await asyncio.create_task(fibers.run(work), name="mine")

    assert asyncio.run(main()) == ["mine", "mine"]


def test_fibers_overlap():
    async def main() -> int:
        waiting: list[int] = []
        all_wait = asyncio.Event()

        async def wait() -> None:
            waiting.append(1)
            if len(waiting) == 20:
                all_wait.set()
            await asyncio.wait_for(all_wait.wait(), 60)

        await asyncio.gather(*(fibers.run(lambda: fibers.wait(wait())) for _ in range(20)))
        return len(waiting)

    assert asyncio.run(main()) == 20


def test_errors_pass_both_ways():
    async def fail() -> None:
        raise ValueError("below")

    def work() -> None:
        with pytest.raises(ValueError, match="below"):
            fibers.wait(fail())
        raise KeyError("above")

    with pytest.raises(KeyError, match="above"):
        asyncio.run(fibers.run(work))


def test_one_context():
    async def below() -> None:
        VARIABLE.set("set below")

    def work() -> str:
        fibers.wait(below())
        seen = VARIABLE.get()
        VARIABLE.set("set in the fiber")
        return seen

    async def main() -> tuple[str, str]:
        return await fibers.run(work), VARIABLE.get()

    assert asyncio.run(main()) == ("set below", "set in the fiber")


def test_no_loop_runs_for_synchronous_code():
    def work() -> str:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return asyncio.run(asyncio.sleep(0, "a loop of its own"))

    async def main() -> str:
        result = await fibers.run(work)
        assert asyncio.get_running_loop().is_running()
        return result

    assert asyncio.run(main()) == "a loop of its own"


def test_only_running_is_metered():
    def work() -> None:
        fibers.wait(asyncio.sleep(0.3))
        fibers.wait(busy())

    async def busy() -> None:
        time.sleep(0.1)

    meter = fibers.Meter()
    asyncio.run(fibers.run(work, meter))
    assert 0.1 <= meter.seconds < 0.3
