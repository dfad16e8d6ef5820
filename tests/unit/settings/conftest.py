"""Settings from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_slipstream.settings import Settings, load


@pytest.fixture
def project(tmp_path: Path):
    """Load settings from the text of a ``pyproject.toml``."""

    def settings(text: str, cli=None, environ=None) -> Settings:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        return load(tmp_path, cli or {}, environ or {})

    return settings
