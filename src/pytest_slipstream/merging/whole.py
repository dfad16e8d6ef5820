"""A directory that is written whole or not at all.

The invariant: under its name there is what was there before, or all that is new.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_slipstream.errors import ConfigurationError, SlipstreamError


@contextmanager
def directory(target: Path, mark: str) -> Iterator[Path]:
    """A new directory to write to, which takes the place of `target` at the end.

    Args:
        target: Not there, empty, or written by this before.
        mark: A file that everything written by this has.

    Raises:
        SlipstreamError: It holds something else, or cannot be written.
    """
    if target.exists() and not (target / mark).exists() and not _empty(target):
        raise ConfigurationError(
            f"{target} is there already, and was not written by slipstream merge",
            hint="name another directory: --output merged",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            yield new
            if target.exists():
                target.rename(old)
            new.rename(target)
    except OSError as error:
        raise SlipstreamError(f"{target} cannot be written: {error}") from error


def _empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())
