"""A project's Python files, parsed, with what their names stand for.

A name is resolved to where it was defined, through imports and re-exports inside the project, so
that ``Base`` in ten modules is one thing.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pytest_slipstream.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NOT_THE_PROJECTS = {"node_modules", "site-packages", "build", "dist", "venv", "env"}
_SCHEMA_FILES = ("alembic.ini", "schema.sql")
# What of a library's names has a meaning here; Peewee's all have.
_STARRED: Mapping[str, frozenset[str] | None] = {
    "sqlalchemy.orm": frozenset(("DeclarativeBase", "DeclarativeBaseNoMeta", "declarative_base")),
    "sqlalchemy": frozenset(("MetaData", "Table")),
    "sqlmodel": frozenset(("SQLModel",)),
    "peewee": None,
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")


class Place(msgspec.Struct, frozen=True, order=True):
    """A line of a file, as editors and terminals understand it."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Source(msgspec.Struct, frozen=True):
    """One Python file.

    ``names`` maps what the module's top level binds to where it comes from. ``imports`` are the
    dotted names that it imports, at any level of the file.
    """

    path: str
    module: str
    tree: ast.Module
    names: Mapping[str, str]
    imports: frozenset[str]

    def place(self, node: ast.expr | ast.stmt) -> Place:
        """Where a node stands."""
        return Place(self.path, node.lineno)

    @property
    def is_test(self) -> bool:
        """Whether it is a test's file and not the application's."""
        file = self.path.rpartition("/")[2]
        folders = self.path.split("/")[:-1]
        is_named_so = file.startswith("test_") or file.endswith("_test.py") or file == "conftest.py"
        return is_named_so or "tests" in folders or "test" in folders

    def name_of(self, node: ast.AST) -> str:
        """The dotted name that an expression stands for; "" for other expressions."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id) or f"{self._starred(node.id)}.{node.id}"
        if isinstance(node, ast.Attribute):
            owner = self.name_of(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""

    def _starred(self, name: str) -> str:
        """The module that `from … import *` may have bound a name from; else its own."""
        for module, exported in _STARRED.items():
            if f"{module}.*" in self.imports and (exported is None or name in exported):
                return module
        return self.module


class Project(msgspec.Struct, frozen=True):
    """What was read.

    ``requirements`` are normalised names of distributions; ``schema_files`` are Alembic files and
    files called ``schema.sql``, relative to ``root``.
    """

    root: Path
    sources: tuple[Source, ...]
    settings: Mapping[str, Any]
    requirements: frozenset[str]
    schema_files: tuple[str, ...] = ()

    def canonical(self, name: str) -> str:
        """Follow re-exports inside the project to the definition."""
        modules = {source.module: source for source in self.sources}
        for _ in range(20):
            module, _, attribute = name.rpartition(".")
            source = modules.get(module)
            target = source.names.get(attribute) if source else None
            if target is None or target == name:
                return name
            name = target
        return name

    def reached_from(self, module: str) -> frozenset[str]:
        """The project's modules that are imported when ``module`` is."""
        modules = {source.module: source for source in self.sources}
        reached: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            for part in _parents(name):
                if part in modules and part not in reached:
                    reached.add(part)
                    waiting += modules[part].imports
        return frozenset(reached)

    def imports(self, package: str) -> bool:
        """Whether a file imports the package, or the project requires it."""
        return package.replace("_", "-") in self.requirements or any(
            name == package or name.startswith(f"{package}.")
            for source in self.sources
            for name in source.imports
        )


def read(root: Path) -> Project:
    """Parse a project; a file that is not Python of this version is passed over."""
    settings = _settings(root / "pyproject.toml")
    roots = [root / entry for entry in python_path(settings)] + [root / "src", root]
    sources, schema_files = [], []
    for path in _files(root):
        if path.suffix != ".py":
            schema_files.append(path.relative_to(root).as_posix())
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        module = _module(path, roots)
        names, imports = _bindings(tree, module, is_package=path.name == "__init__.py")
        relative = path.relative_to(root).as_posix()
        sources.append(Source(relative, module, tree, names, imports))
    requirements = frozenset(_requirements(root, settings))
    return Project(root, tuple(sources), settings, requirements, tuple(schema_files))


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error


def python_path(settings: Mapping[str, Any]) -> list[str]:
    """pytest's option ``pythonpath``."""
    options = settings.get("tool", {}).get("pytest", {}).get("ini_options", {})
    entries = options.get("pythonpath", [])
    return entries.split() if isinstance(entries, str) else list(entries)


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        inside = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _NOT_THE_PROJECTS
            and not name.startswith((".", "__pycache__"))
            and not (inside / name / "pyvenv.cfg").exists()
        )
        wanted = (name for name in files if name.endswith(".py") or name in _SCHEMA_FILES)
        yield from (inside / name for name in sorted(wanted))


def _module(path: Path, roots: list[Path]) -> str:
    inside = [root for root in roots if path.is_relative_to(root)]
    nearest = max(inside, key=lambda root: len(root.parts))
    parts = path.relative_to(nearest).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _bindings(
    tree: ast.Module, module: str, *, is_package: bool
) -> tuple[dict[str, str], frozenset[str]]:
    names: dict[str, str] = {}
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.add(alias.name)
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(node, module, is_package=is_package)
            imports.add(origin)
            for alias in node.names:
                imports.add(f"{origin}.{alias.name}")
                names[alias.asname or alias.name] = f"{origin}.{alias.name}"
    for statement in tree.body:
        for name in _defined(statement):
            names[name] = f"{module}.{name}"
    return names, frozenset(imports)


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    up = node.level - 1 if is_package else node.level
    package = parts[: len(parts) - up] if up else parts
    return ".".join([*package, node.module] if node.module else package)


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _requirements(root: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    project, tool = settings.get("project", {}), settings.get("tool", {})
    groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    groups += settings.get("dependency-groups", {}).values()
    lines = [line for group in groups for line in group if isinstance(line, str)]
    lines += tool.get("poetry", {}).get("dependencies", {})
    for path in sorted(root.glob("*requirements*.txt")):
        lines += path.read_text("utf-8", "replace").splitlines()
    for line in lines:
        if found := _REQUIREMENT.match(line):
            yield re.sub(r"[-_.]+", "-", found[1]).lower()
            # Extras name drivers too: sqlalchemy[asyncio,postgresql-asyncpg].
            yield from re.findall(
                r"asyncpg|psycopg2|psycopg|aiosqlite|pymysql|asyncmy|aiomysql", line.lower()
            )
