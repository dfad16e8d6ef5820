"""A project without a database, over which whole runs are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from projects import Project


class PlainProject(Project):
    """A project whose durations are recorded."""

    @property
    def history(self) -> Path:
        return self.path / ".slipstream" / "durations.json"

    def recorded(self) -> dict[str, Any]:
        """What the only machine class knows."""
        (machine,) = json.loads(self.history.read_bytes())["machines"].values()
        return machine


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> PlainProject:
    for variable in ("CI_NODE_INDEX", "CIRCLE_NODE_INDEX", "BUILDKITE_PARALLEL_JOB"):
        monkeypatch.delenv(variable, raising=False)
    return PlainProject(pytester, "[tool.slipstream]\ndurations = true")
