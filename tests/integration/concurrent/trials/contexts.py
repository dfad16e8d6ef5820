"""Context variables that fixtures set reach the test, whatever the fixture's scope and kind."""

import asyncio
import contextvars

import pytest

PLAIN = contextvars.ContextVar("plain", default="unset")
GENERATED = contextvars.ContextVar("generated", default="unset")
SHARED = contextvars.ContextVar("shared", default="unset")


@pytest.fixture
async def plain():
    PLAIN.set("set")


@pytest.fixture
async def generated(request):
    token = GENERATED.set(request.node.name)
    await asyncio.sleep(0.01)
    yield
    assert GENERATED.get() == request.node.name
    GENERATED.reset(token)


@pytest.fixture(scope="module")
async def shared():
    await asyncio.sleep(0.01)
    token = SHARED.set("set for the module")
    yield
    SHARED.reset(token)


@pytest.mark.parametrize("number", range(3))
async def test_all(plain, generated, shared, request, number):
    assert PLAIN.get() == "set"
    assert GENERATED.get() == request.node.name
    assert SHARED.get() == "set for the module"
    await asyncio.sleep(0.02)
    assert GENERATED.get() == request.node.name


async def test_tasks_and_threads_inherit(generated, request):
    assert await asyncio.create_task(read()) == request.node.name
    assert await asyncio.to_thread(GENERATED.get) == request.node.name


async def read():
    await asyncio.sleep(0.01)
    return GENERATED.get()


async def test_nothing_leaks_between_function_fixtures():
    assert PLAIN.get() == "unset"
    assert GENERATED.get() == "unset"
