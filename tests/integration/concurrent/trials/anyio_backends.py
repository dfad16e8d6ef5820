"""anyio's tests on each backend; a task group as a module fixture."""

import anyio
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def group(anyio_backend):
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


@pytest.mark.parametrize("number", range(3))
async def test_module_group(group, number, anyio_backend_name):
    event = anyio.Event()

    async def work():
        await anyio.sleep(0.02)
        event.set()

    group.start_soon(work)
    with anyio.fail_after(5):
        await event.wait()
    assert anyio_backend_name in ("asyncio", "trio")
