"""A trial project for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from concurrency import PYTEST_OPTIONS, with_concurrency
from projects import DATABASES, Project
from trials import Trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """An empty project."""
    return Trial(tmp_path)


@pytest.fixture
def cache_dir(shared_cache_dir: Path, require_servers: None, require_mysql: None) -> Path:
    """The cache directory that the runs use, by the environment."""
    return shared_cache_dir


@pytest.fixture(params=sorted(DATABASES))
def project(pytester: pytest.Pytester, cache_dir: Path, request: pytest.FixtureRequest) -> Project:
    """The application of all runs on each engine in turn, with tests in flight together."""
    text = with_concurrency(DATABASES[request.param], 20)
    project = Project(pytester, text)
    project.configure(text, PYTEST_OPTIONS)
    return project
