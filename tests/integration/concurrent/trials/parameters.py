"""Parametrisation: direct, through fixtures, indirect, wider."""

import asyncio

import pytest

LOG = []


@pytest.fixture(params=["a", "b"])
async def letter(request):
    await asyncio.sleep(0.01)
    return request.param


@pytest.fixture(scope="module", params=["x", "y"])
async def wide(request):
    LOG.append(f"{request.param} up")
    yield request.param
    await asyncio.sleep(0.01)
    LOG.append(f"{request.param} down")


@pytest.fixture(scope="module")
def above(wide):
    return f"above {wide}"


@pytest.fixture
def indirect(request):
    return request.param * 2


@pytest.mark.parametrize("number", [1, 2])
async def test_product(letter, number):
    await asyncio.sleep(0.01)
    assert letter in "ab"
    assert number in (1, 2)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_wide(wide, above, number):
    await asyncio.sleep(0.02)
    assert above == f"above {wide}"
    assert LOG[-1] == f"{wide} up"


def test_wide_ones_were_made_one_after_the_other():
    assert LOG == ["x up", "x down", "y up", "y down"] or LOG[:3] == ["x up", "x down", "y up"]


@pytest.mark.parametrize("indirect", [1, 2], indirect=True)
async def test_indirect(indirect):
    assert indirect in (2, 4)


@pytest.fixture(scope="module")
def narrowed(request):
    return getattr(request, "param", "by default")


@pytest.fixture(scope="module")
def on_narrowed(narrowed):
    return f"on {narrowed}"


async def test_default(on_narrowed):
    assert on_narrowed == "on by default"


@pytest.mark.parametrize("narrowed", ["n1", "n2"], indirect=True, scope="function")
async def test_narrowed(on_narrowed, narrowed):
    await asyncio.sleep(0.01)
    assert on_narrowed == f"on {narrowed}"


async def test_default_again(on_narrowed):
    assert on_narrowed == "on by default"


@pytest.mark.parametrize("value", [[1], {"a": 1}, None], ids=str)
async def test_unhashable(value):
    await asyncio.sleep(0.01)
