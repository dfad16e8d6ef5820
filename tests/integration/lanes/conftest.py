"""A project with two lanes: SQLite for most tests, PostgreSQL for those marked ``e2e``."""

from __future__ import annotations

from pathlib import Path

import pytest

from projects import Project

LANES = """
    [tool.slipstream.databases.main]
    engine = "sqlite"
    schema = "app.models:Base.metadata"
    seed = "app.seed:fill"
    env = { DATABASE_URL = "{url}" }

    [tool.slipstream.lanes.real]
    databases.main.engine = "postgresql"
    marker = "e2e"
    paths = ["e2e/*"]
"""


@pytest.fixture
def project(pytester: pytest.Pytester, shared_cache_dir: Path, require_servers: None) -> Project:
    """The application of all runs, on two lanes."""
    return Project(pytester, LANES)
