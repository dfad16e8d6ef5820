"""Projects over which runs on workers are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from projects import DATABASES, Project
from trials import Trial


class LightTrial(Trial):
    """Loads no plugin beside slipstream that is not named."""

    def command(self, *arguments: str, concurrency: int | None = None) -> list[str]:
        return super().command("-p", "slipstream", *arguments, concurrency=concurrency)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """An empty project without a database."""
    trial = LightTrial(tmp_path)
    trial.configure(pytest="")
    return trial


@pytest.fixture(params=sorted(DATABASES))
def project(
    request: pytest.FixtureRequest,
    pytester: pytest.Pytester,
    shared_cache_dir: Path,
    require_servers: None,
    require_mysql: None,
) -> Project:
    """A project on each engine in turn."""
    return Project(pytester, DATABASES[request.param])
