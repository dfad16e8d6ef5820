"""Directories by a pattern."""

from __future__ import annotations

from pathlib import Path


def folders(parent: Path, pattern: str = "*") -> list[Path]:
    """Those that match: before Python 3.11, ``glob("*/")`` finds files, too."""
    return [path for path in parent.glob(pattern) if path.is_dir()]
