"""Projects with two lanes: SQLite for most tests, a real engine for those marked ``e2e``."""

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
    databases.main.engine = "mysql"
    marker = "e2e"
    paths = ["e2e/*"]
"""


@pytest.fixture
def project(pytester: pytest.Pytester, shared_cache_dir: Path, require_servers: None) -> Project:
    """The application of all runs, on SQLite and MySQL."""
    return Project(pytester, LANES)


@pytest.fixture
def postgresql_project(project: Project) -> Project:
    """The same on SQLite and PostgreSQL."""
    project.configure(LANES.replace("mysql", "postgresql"))
    return project
