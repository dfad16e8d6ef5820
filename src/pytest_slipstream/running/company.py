"""What another room wants to know of tests in flight, and does for them."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import pytest


class Company(Protocol):
    """Goes with the tests; the databases do."""

    shares: bool
    """Whether wider fixtures are set up and torn down one at a time, and tests that share one
    narrower than a session's run apart from those that do not."""

    def reason_alone(self, item: pytest.Item) -> str:
        """Why a test must run alone though its markers allow more, or nothing."""

    def around(self, item: pytest.Item) -> contextlib.AbstractAsyncContextManager[None]:
        """What a test in flight needs besides its fixtures, from before its set-up to after its
        teardown; entered in its own task and context.
        """

    async def landed(self) -> None:
        """The last test is over, and the event loop ends soon."""

    def shared(self, name: str) -> contextlib.AbstractContextManager[None]:
        """While the wider fixture ``name`` is set up or torn down; in its own context."""

    def check_use(self, definition: pytest.FixtureDef[Any], item: pytest.Item) -> None:
        """A test gets the value of a wider fixture; may raise."""


class _Nobody:
    shares = False

    def reason_alone(self, item: pytest.Item) -> str:
        return ""

    def around(self, item: pytest.Item) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def landed(self) -> None:
        return

    def shared(self, name: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def check_use(self, definition: pytest.FixtureDef[Any], item: pytest.Item) -> None:
        return


NO_COMPANY: Company = _Nobody()
