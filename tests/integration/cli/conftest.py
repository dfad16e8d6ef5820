"""The command line as users run it: in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_slipstream.databases.servers import embedded, mysql_binaries

Slipstream = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cache_dir(short_path: Path) -> Iterator[Path]:
    """A cache of the test's own: what is listed and pruned is its alone."""
    directory = short_path / "cache"
    yield directory
    for entry in embedded.list_servers(directory):
        embedded.stop_server(directory, entry.name, force=True)
    shutil.rmtree(directory, ignore_errors=True)
    embedded.prune(directory)  # what the servers had on the RAM disk


@pytest.fixture
def command() -> list[str]:
    """What ``slipstream`` runs."""
    return [sys.executable, "-c", "from pytest_slipstream.cli import main; main()"]


@pytest.fixture
def environ(cache_dir: Path) -> dict[str, str]:
    """The environment of the commands, without what belongs to this run but its server."""
    own = ("SLIPSTREAM_", "PYTEST_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(own) or name == mysql_binaries.VARIABLE
    }
    return kept | {"SLIPSTREAM_CACHE_DIR": str(cache_dir), "COLUMNS": "160"}


@pytest.fixture
def slipstream(tmp_path: Path, environ: dict[str, str], command: list[str]) -> Slipstream:
    """Run ``slipstream`` in ``tmp_path``, if no other directory is named."""

    def run(*arguments: str, cwd: Path = tmp_path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=cwd,
            env=environ | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
