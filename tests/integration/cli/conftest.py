"""The command line as users run it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from pytest_slipstream.cli import main; main()"]
Slipstream = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cache_dir(short_path: Path) -> Path:
    """A cache of the test's own: what is listed and pruned is its alone."""
    return short_path / "cache"


@pytest.fixture
def environ(cache_dir: Path) -> dict[str, str]:
    """The environment of the commands, without what belongs to this run."""
    own = ("SLIPSTREAM_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return kept | {"SLIPSTREAM_CACHE_DIR": str(cache_dir), "COLUMNS": "160"}


@pytest.fixture
def slipstream(tmp_path: Path, environ: dict[str, str]) -> Slipstream:
    """Run ``slipstream`` in ``tmp_path``."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environ | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
