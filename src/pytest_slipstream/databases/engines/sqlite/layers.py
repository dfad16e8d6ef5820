"""Layers of a SQLite slot: whole databases, one file each, the template the lowest.

The invariant: a layer's file is never written while it is open here.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pytest_slipstream.databases.engines.sqlite import content, pages
from pytest_slipstream.databases.engines.sqlite.images import Image


class Layer:
    """A database to which a slot is reset."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = pages.open_unchanging(path)

    @cached_property
    def digest(self) -> dict[str, str]:
        """What it holds."""
        return content.digest(self.connection)

    @cached_property
    def image(self) -> Image:
        """Its file."""
        return Image(self.path)

    def close(self) -> None:
        """Stop reading the file."""
        self.connection.close()
        if "image" in self.__dict__:
            self.image.close()

    def remove(self) -> None:
        """Remove the file."""
        self.close()
        pages.remove(self.path)
