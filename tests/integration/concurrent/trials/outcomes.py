"""Skip, expected failure, subtests, properties: reported as in sequence."""

import asyncio
import unittest

import pytest


@pytest.mark.skip(reason="marked")
async def test_skip():
    pass


@pytest.mark.skipif("sys.version_info > (3,)", reason="by condition")
async def test_skipif():
    pass


async def test_skip_inside():
    await asyncio.sleep(0.01)
    pytest.skip("inside")


@pytest.mark.xfail(reason="expected")
async def test_xfail():
    await asyncio.sleep(0.01)
    raise AssertionError


@pytest.mark.xfail(reason="surprise")
async def test_xpass():
    await asyncio.sleep(0.01)


@pytest.mark.xfail(strict=True, reason="strict")
async def test_strict():
    await asyncio.sleep(0.01)


@pytest.mark.xfail(run=False, reason="not run")
async def test_not_run():
    raise SystemExit


@pytest.mark.xfail(raises=ValueError, reason="another error")
async def test_raises():
    raise KeyError("x")


async def test_xfail_inside():
    await asyncio.sleep(0.01)
    pytest.xfail("inside")


async def test_xfail_added(request):
    request.node.add_marker(pytest.mark.xfail(reason="added"))
    await asyncio.sleep(0.01)
    raise AssertionError


async def test_fail():
    await asyncio.sleep(0.01)
    pytest.fail("by hand", pytrace=False)


async def test_raises_exception():
    with pytest.raises(ZeroDivisionError):
        await divide(0)


async def divide(number):
    await asyncio.sleep(0.01)
    return 1 / number


async def test_error_in_a_helper():
    await divide(0)


async def test_error_in_a_task():
    await asyncio.gather(divide(1), divide(0))


async def test_cancelled():
    task = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def test_own_timeout():
    await asyncio.wait_for(asyncio.sleep(10), 0.05)


async def test_property(record_property):
    record_property("key", "value")
    await asyncio.sleep(0.01)


async def test_subtests(subtests):
    for number in range(3):
        with subtests.test(number=number):
            print("subtest", number)
            await asyncio.sleep(0.01)
            assert number != 1


class TestClass:
    @pytest.mark.parametrize("number", range(3))
    async def test_method(self, number):
        await asyncio.sleep(0.01)
        assert number < 2


class TestUnittest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.loop = asyncio.get_running_loop()

    async def test_method(self):
        await asyncio.sleep(0.01)
        assert self.loop is asyncio.get_running_loop()


def test_synchronous():
    pass


async def test_system_exit():
    raise SystemExit(3)
