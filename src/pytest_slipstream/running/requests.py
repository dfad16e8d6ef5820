"""Fixtures that a coroutine asks for while it runs."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_slipstream.running import fibers


async def getfixturevalue(request: pytest.FixtureRequest, name: str) -> Any:
    """The value of a fixture, set up if need be: ``request.getfixturevalue`` for coroutines.

    Args:
        request: The test's or the fixture's own request.
        name: The fixture.
    """
    return await fibers.run(lambda: request.getfixturevalue(name))
