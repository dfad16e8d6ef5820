"""The fixtures that tell a worker who it is, where pytest-xdist is not there to provide them.

A plugin of its own; the values are those of pytest-xdist.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The worker's id, ``gw0`` and so on; ``master`` where tests run without workers."""
    return str(_worker_input(request).get("workerid", "master"))


@pytest.fixture(scope="session")
def testrun_uid(request: pytest.FixtureRequest) -> str:
    """The same on all workers of one run, and in no other run."""
    return str(_worker_input(request).get("testrunuid") or uuid.uuid4().hex)


def _worker_input(request: pytest.FixtureRequest) -> dict[str, Any]:
    return getattr(request.config, "workerinput", {})
