"""A Redis server for each test, and a project that machines run."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from machines import Trial
from redis_server import RedisServer


@pytest.fixture
def redis_server(require_redis: None, tmp_path: Path) -> Generator[RedisServer, None, None]:
    """A server without data."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def trial(redis_server: RedisServer, tmp_path: Path) -> Generator[Trial, None, None]:
    """A project without tests, and a queue."""
    made = Trial(tmp_path, redis_server.url)
    yield made
    made.close()
