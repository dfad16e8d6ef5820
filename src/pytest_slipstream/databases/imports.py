"""Which files of the project a module imports, found without importing anything.

The invariant: what is found is at least what an import would load from the project, as far as
import statements tell. Imports inside functions count; where code imports whole packages by a
loop over them, all of the package counts.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator

import msgspec

from pytest_slipstream.databases.modules import Place, Resolver

ALL = "*"
_PACKAGE_LOOPS = ("iter_modules", "walk_packages")


class Import(msgspec.Struct, frozen=True, array_like=True):
    """An import statement: ``from <level dots><module> import <names>``, or ``import <module>``.

    ``names`` is ``("*",)`` when all of a package may be meant.
    """

    module: str
    level: int = 0
    names: tuple[str, ...] = ()


def imports_of(source: bytes) -> tuple[Import, ...]:
    """The imports of a module's source; () when it is not valid Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    nodes = list(ast.walk(tree))
    found = [item for node in nodes for item in _imports(node)]
    if any(_callee(node) in _PACKAGE_LOOPS for node in nodes):
        # The package looped over is this one or one that is imported here.
        found += [Import("", 1, (ALL,))]
        found += [Import(item.module, item.level, (ALL,)) for item in found]
        found += [
            Import(f"{item.module}.{name}".strip("."), item.level, (ALL,))
            for item in found
            for name in item.names
            if name != ALL
        ]
    return tuple(dict.fromkeys(found))


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name)
    elif isinstance(node, ast.ImportFrom):
        yield Import(node.module or "", node.level, tuple(alias.name for alias in node.names))
    elif isinstance(node, ast.Call) and _callee(node) in ("import_module", "__import__"):
        argument = node.args[0] if node.args else None
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            name = argument.value.lstrip(".")
            yield Import(name, len(argument.value) - len(name))


def _callee(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


class Closure(msgspec.Struct, frozen=True):
    """``files`` of the project, and the top-level names of installed packages they import."""

    files: frozenset[str]
    foreign: frozenset[str]


class _Walk:
    def __init__(self, resolver: Resolver, read: Callable[[str], tuple[Import, ...]]) -> None:
        self.resolver = resolver
        self.read = read
        self.files: set[str] = set()
        self.foreign: set[str] = set()
        self.pending: list[tuple[str, Place]] = []
        self._seen: set[str] = set()

    def module(self, name: str) -> bool:
        """Take a module and the packages it lies in; whether it was found."""
        if name in self._seen:
            return self.resolver.find(name) is not None
        self._seen.add(name)
        parent = name.rpartition(".")[0]
        if parent:
            self.module(parent)
        place = self.resolver.find(name)
        if place is None:
            return False
        if place.foreign:
            self.foreign.add(name.partition(".")[0])
        elif place.file is not None:
            self.file(place.file, place)
        return True

    def file(self, file: str, place: Place) -> None:
        if file not in self.files:
            self.files.add(file)
            self.pending.append((file, place))

    def whole(self, name: str) -> None:
        place = self.resolver.find(name)
        if place is not None and not place.foreign:
            for submodule in self.resolver.submodules(place):
                self.module(submodule)

    def follow(self, item: Import, place: Place) -> None:
        name = item.module
        if item.level:
            up = item.level - 1 if place.inside else item.level
            package = place.name.rsplit(".", up)[0] if place.name.count(".") >= up else ""
            name = f"{package}.{name}".strip(".")
        if not name or not self.module(name):
            return
        target = self.resolver.find(name)
        if target is None or target.foreign or not target.inside:
            return
        for imported in item.names:
            if imported == ALL:
                self.whole(name)
            else:
                self.module(f"{name}.{imported}")


def closure(
    modules: Iterable[str],
    scripts: Iterable[str],
    resolver: Resolver,
    read: Callable[[str], tuple[Import, ...]],
) -> Closure:
    """All files of the project that importing would load.

    Args:
        modules: Names of modules; of one that is a package, all modules below it count.
        scripts: Paths of Python files that are run by their path.
        resolver: Where modules are looked for.
        read: Gives the imports of a file.
    """
    walk = _Walk(resolver, read)
    for module in modules:
        walk.module(module)
        walk.whole(module)
    for script in scripts:
        walk.file(script, Place("", script, (), foreign=False))
    while walk.pending:
        file, place = walk.pending.pop()
        for item in walk.read(file):
            walk.follow(item, place)
    builtin = frozenset(sys.stdlib_module_names)
    return Closure(frozenset(walk.files), frozenset(walk.foreign) - builtin)
