"""A running system. Nothing here knows how a database is made."""

import pytest

from app.system import running
from tests.patience import eventually


class TheOrder:
    """The one order of most tests."""

    number = "A-1"

    def __init__(self, system):
        self._system = system

    async def place(self, **options):
        return await self._system.place(self.number, **options)

    async def becomes(self, status):
        await eventually(lambda: self._system.status(self.number), status)


@pytest.fixture
async def system():
    async with running() as system:
        yield system


@pytest.fixture
def order(system):
    return TheOrder(system)
