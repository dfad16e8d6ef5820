"""Where modules are, found by directory listings alone: nothing is imported or executed.

The invariant: for directories on the search path, the answer is the one that Python's own path
finder gives (packages before modules, regular packages before namespace packages). Modules from
zip files are not found.
"""

# ruff: noqa: PTH109, PTH118, PTH208  (paths are strings: pathlib would be most of the cost)
from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.machinery import EXTENSION_SUFFIXES

import msgspec


class Place(msgspec.Struct, frozen=True):
    """Where a module is. ``file`` is None for a namespace package and for compiled code;
    ``inside`` are the directories of a package; ``foreign`` code is not the project's."""

    name: str
    file: str | None
    inside: tuple[str, ...]
    foreign: bool


class Resolver:
    """Finds modules on a search path, as the import system would.

    Args:
        path: Directories, like ``sys.path``.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._path = tuple(dict.fromkeys(entry or os.getcwd() for entry in path))
        self._listings: dict[str, frozenset[str]] = {}
        self._places: dict[str, Place | None] = {}
        self._foreign: dict[str, bool] = {}

    def find(self, name: str) -> Place | None:
        """Where the module ``name`` is; None when it is not found (built-in modules are not)."""
        if name not in self._places:
            parent, _, tail = name.rpartition(".")
            directories = self._path
            if parent:
                place = self.find(parent)
                directories = place.inside if place is not None else ()
            self._places[name] = self._find_in(directories, name, tail)
        return self._places[name]

    def _find_in(self, directories: Sequence[str], name: str, tail: str) -> Place | None:
        portions = []
        for directory in directories:
            names = self.listing(directory)
            if tail in names:
                package = os.path.join(directory, tail)
                if "__init__.py" in self.listing(package):
                    init = os.path.join(package, "__init__.py")
                    return Place(name, init, (package,), self.is_foreign(directory))
                portions.append(package)
            if any(tail + suffix in names for suffix in EXTENSION_SUFFIXES):
                return Place(name, None, (), foreign=True)
            if tail + ".py" in names:
                file = os.path.join(directory, tail + ".py")
                return Place(name, file, (), self.is_foreign(directory))
        inside = tuple(portion for portion in portions if self.listing(portion))
        foreign = all(map(self.is_foreign, inside))
        return Place(name, None, inside, foreign) if inside else None

    def submodules(self, place: Place) -> Iterator[str]:
        """All modules below a package, by name; directories without Python files are left out."""
        for directory in place.inside:
            for entry in sorted(self.listing(directory)):
                stem, dot, suffix = entry.partition(".")
                if not stem.isidentifier() or stem == "__init__" or (dot and suffix != "py"):
                    continue
                name = f"{place.name}.{stem}"
                found = self.find(name)
                if found is None or (not dot and found.file is None):
                    continue
                yield name
                yield from self.submodules(found)

    def listing(self, directory: str) -> frozenset[str]:
        """The names in a directory; none when it is no directory or cannot be read."""
        if directory not in self._listings:
            try:
                self._listings[directory] = frozenset(os.listdir(directory))
            except OSError:
                self._listings[directory] = frozenset()
        return self._listings[directory]

    def is_foreign(self, directory: str) -> bool:
        """Whether a directory belongs to an installation, and not to the project."""
        if directory not in self._foreign:
            path = directory + os.sep
            self._foreign[directory] = (
                f"{os.sep}site-packages{os.sep}" in path
                or f"{os.sep}dist-packages{os.sep}" in path
                or path.startswith(self._standard_library)
            )
        return self._foreign[directory]

    @cached_property
    def _standard_library(self) -> tuple[str, ...]:
        return tuple({sysconfig.get_path(key) + os.sep for key in ("stdlib", "platstdlib")})
