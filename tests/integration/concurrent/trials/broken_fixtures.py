"""Fixtures that fail: the same tests have the same errors."""

import asyncio

import pytest


@pytest.fixture
async def fails():
    await asyncio.sleep(0.01)
    raise ValueError("set-up fails")


@pytest.fixture(scope="module")
async def module_fails():
    await asyncio.sleep(0.05)
    raise ValueError("module fails")


@pytest.fixture
async def ends_badly():
    yield 1
    await asyncio.sleep(0.01)
    raise RuntimeError("teardown fails")


@pytest.fixture
def ends_badly_too():
    yield 2
    raise RuntimeError("synchronous teardown fails")


@pytest.fixture(scope="class")
async def class_ends_badly():
    yield 3
    raise RuntimeError("class teardown fails")


@pytest.fixture
async def skips():
    pytest.skip("no such thing here")


@pytest.fixture
async def yields_twice():
    yield 1
    yield 2


async def test_set_up(fails):
    pass


@pytest.mark.parametrize("number", range(3))
async def test_module(module_fails, number):
    pass


async def test_teardown(ends_badly):
    await asyncio.sleep(0.01)


async def test_two_teardowns(ends_badly, ends_badly_too):
    await asyncio.sleep(0.01)


async def test_call_and_teardown(ends_badly):
    assert 1 == 2


class TestClass:
    async def test_first(self, class_ends_badly):
        await asyncio.sleep(0.01)

    async def test_last(self, class_ends_badly):
        await asyncio.sleep(0.05)


async def test_skipped_by_a_fixture(skips):
    pass


async def test_no_such_fixture(absent):
    pass


async def test_in_sequence_after_all_that():
    await asyncio.sleep(0.01)
