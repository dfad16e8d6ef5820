"""Projects whose isolation strategy is `rollback`."""

from __future__ import annotations

from pathlib import Path

import pytest

from projects import DATABASES, Project


@pytest.fixture
def cache_dir(shared_cache_dir: Path, require_servers: None) -> Path:
    """The cache directory that the runs use, by the environment."""
    return shared_cache_dir


@pytest.fixture(params=sorted(DATABASES))
def engine_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def rolling_back(engine: str) -> str:
    """The configuration of a project on ``engine``."""
    return DATABASES[engine] + '        isolation = "rollback"\n'


@pytest.fixture
def project(pytester: pytest.Pytester, engine_name: str, cache_dir: Path) -> Project:
    """A project on each engine in turn."""
    return Project(pytester, rolling_back(engine_name))


@pytest.fixture
def sqlite_project(pytester: pytest.Pytester, cache_dir: Path) -> Project:
    """A project on SQLite files."""
    return Project(pytester, rolling_back("sqlite"))


@pytest.fixture
def postgresql_project(pytester: pytest.Pytester, cache_dir: Path) -> Project:
    """A project on embedded PostgreSQL."""
    return Project(pytester, rolling_back("postgresql"))
