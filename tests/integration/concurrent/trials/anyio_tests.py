"""anyio's tests and fixtures; a task group that spans a fixture's yield."""

import anyio
import pytest

pytestmark = pytest.mark.anyio
LOG = []


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def group():
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


@pytest.fixture
async def cancelled_scope():
    with anyio.CancelScope() as scope:
        yield scope
    LOG.append("left the scope")


@pytest.mark.parametrize("number", range(3))
async def test_task_group(group, number):
    event = anyio.Event()

    async def work():
        await anyio.sleep(0.02)
        event.set()
        await anyio.sleep_forever()

    group.start_soon(work)
    with anyio.fail_after(5):
        await event.wait()


async def test_scope(cancelled_scope):
    await anyio.sleep(0.01)
    with anyio.move_on_after(0.01) as inner:
        await anyio.sleep_forever()
    assert inner.cancelled_caught


async def test_threads():
    assert await anyio.to_thread.run_sync(lambda: 1) == 1


async def test_fails():
    await anyio.sleep(0.01)
    raise AssertionError("on purpose")


async def test_group_error():
    async with anyio.create_task_group() as group:
        group.start_soon(raise_value_error)


async def raise_value_error():
    await anyio.sleep(0.01)
    raise ValueError("in the group")
