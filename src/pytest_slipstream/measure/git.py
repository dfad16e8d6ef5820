"""Questions and orders to git, in a directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pytest_slipstream.errors import SlipstreamError

# A hook of git's sets these, and they would lead to another repository than the directory's.
_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def ask(directory: Path, *arguments: str) -> str | None:
    """What git says; None where it fails, is not installed, or there is no repository."""
    done = _git(directory, arguments)
    return done.stdout.strip() if done is not None and done.returncode == 0 else None


def order(directory: Path, *arguments: str) -> None:
    """Have git do something.

    Raises:
        SlipstreamError: It does not.
    """
    done = _git(directory, arguments)
    if done is None or done.returncode != 0:
        said = "it is not installed" if done is None else done.stderr.strip()
        raise SlipstreamError(f"git {' '.join(arguments)} failed in {directory}: {said}")


def _git(directory: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str] | None:
    environ = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return None
