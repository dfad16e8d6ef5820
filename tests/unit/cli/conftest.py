"""Small project trees that ``slipstream init`` looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_slipstream.cli.discovery import project
from pytest_slipstream.cli.discovery.project import Project

Tree = Callable[..., Project]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files, each named by its path, and read the project."""

    def write(files: dict[str, str]) -> Project:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return project.read(tmp_path)

    return write
