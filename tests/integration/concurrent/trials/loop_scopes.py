"""pytest-asyncio's loop scopes, its fixtures on both kinds of functions, hypothesis."""

import asyncio

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

QUEUE = []


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server():
    task = asyncio.create_task(serve())
    yield QUEUE
    task.cancel()


async def serve():
    while True:
        QUEUE.append("beat")
        await asyncio.sleep(0.01)


@pytest_asyncio.fixture
def synchronous():
    return asyncio.get_event_loop_policy() is not None


@pytest.mark.asyncio(loop_scope="module")
async def test_server(server):
    before = len(server)
    await asyncio.sleep(0.1)
    assert len(server) > before


@pytest.mark.asyncio(loop_scope="module")
class TestModuleLoop:
    loop = None

    async def test_remember(self):
        TestModuleLoop.loop = asyncio.get_running_loop()

    async def test_same(self, server):
        await asyncio.sleep(0.05)
        assert TestModuleLoop.loop is asyncio.get_running_loop()


@pytest.mark.asyncio
async def test_synchronous_fixture(synchronous):
    assert synchronous


@pytest.mark.asyncio
@given(number=st.integers(0, 5))
@settings(max_examples=5, deadline=None)
async def test_hypothesis(number):
    await asyncio.sleep(0)
    assert 0 <= number <= 5
