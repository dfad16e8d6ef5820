"""Where a project's tables are declared, and which object makes all of them.

The invariant: an object is proposed only from a module that, when imported, imports the modules of
its tables; those it does not import are named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec

from pytest_slipstream.cli.discovery.project import Place, Project, Source

_BASE_CLASSES = {"sqlalchemy.orm.DeclarativeBase", "sqlalchemy.orm.DeclarativeBaseNoMeta"}
_BASE_CALLS = {
    "sqlalchemy.orm.declarative_base": ".metadata",
    "sqlalchemy.ext.declarative.declarative_base": ".metadata",
    "flask_sqlalchemy.SQLAlchemy": ".metadata",
    "sqlalchemy.MetaData": "",
    "sqlalchemy.schema.MetaData": "",
}
_SQLMODEL = "sqlmodel.SQLModel"


class Schema(msgspec.Struct, frozen=True):
    """An object that makes tables. ``missed``: modules with tables that it does not know.

    ``library`` is ``peewee``, or SQLAlchemy by any of its names.
    """

    text: str
    place: Place
    tables: int
    missed: tuple[str, ...] = ()
    library: str = "sqlalchemy"


class Base(msgspec.Struct, frozen=True):
    """What tables derive from, and what of it makes them."""

    name: str
    suffix: str
    place: Place


def find(project: Project) -> list[Schema]:
    """The candidates, that with the most tables first; an object without tables is none."""
    found = []
    for base in _bases(project):
        counted = _tables(project, base)
        if counted:
            found.append(best(project, base, counted))
    return sorted(found, key=lambda schema: (-schema.tables, schema.text))


def _bases(project: Project) -> Iterator[Base]:
    for source in project.sources:
        if source.is_test:
            continue
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef):
                inherited = {project.canonical(source.name_of(base)) for base in node.bases}
                if inherited & _BASE_CLASSES:
                    yield Base(f"{source.module}.{node.name}", ".metadata", source.place(node))
            elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                suffix = _BASE_CALLS.get(project.canonical(source.name_of(node.value.func)))
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if suffix is not None and isinstance(target, ast.Name):
                    name = f"{source.module}.{target.id}"
                    yield Base(name, suffix, source.place(node))
    for source, node in classes(project):
        if any(keyword.arg == "table" for keyword in node.keywords):
            yield Base(_SQLMODEL, ".metadata", source.place(node))
            return


def _tables(project: Project, base: Base) -> dict[str, int]:
    """The modules that declare tables of a base, with how many."""
    family = {base.name, f"{base.name}.Model"}
    while True:  # classes between the base and the tables
        children = {
            f"{source.module}.{node.name}"
            for source, node in classes(project)
            if family & {project.canonical(source.name_of(parent)) for parent in node.bases}
        }
        if children <= family:
            break
        family |= children
    counted: dict[str, int] = {}
    for source, node in classes(project):
        if f"{source.module}.{node.name}" in family and _is_table(node, base):
            counted[source.module] = counted.get(source.module, 0) + 1
    for source in project.sources:
        for call in _table_calls(project, source, base):
            counted[source.module] = counted.get(source.module, 0) + call
    return {module: count for module, count in counted.items() if count}


def classes(project: Project) -> Iterator[tuple[Source, ast.ClassDef]]:
    """The classes of the application's modules."""
    for source in project.sources:
        if not source.is_test:
            for node in source.tree.body:
                if isinstance(node, ast.ClassDef):
                    yield source, node


def _is_table(node: ast.ClassDef, base: Base) -> bool:
    if base.name == _SQLMODEL:
        return any(keyword.arg == "table" for keyword in node.keywords)
    assigned = {
        target.id
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
        if isinstance(target, ast.Name)
    }
    if "__abstract__" in assigned or base.name.endswith(f".{node.name}"):
        return False
    return bool(assigned)


def _table_calls(project: Project, source: Source, base: Base) -> Iterator[int]:
    for node in ast.walk(source.tree):
        if source.is_test or not isinstance(node, ast.Call) or len(node.args) < 2:
            continue
        if project.canonical(source.name_of(node.func)).startswith("sqlalchemy."):
            owner = project.canonical(source.name_of(node.args[1]))
            yield owner in (base.name, f"{base.name}.metadata")


def best(project: Project, base: Base, counted: dict[str, int]) -> Schema:
    """The module that has the base under some name and reaches the most tables."""
    candidates = []
    for source in project.sources:
        if source.is_test:
            continue
        for name, origin in source.names.items():
            if project.canonical(origin) == base.name:
                reached = project.reached_from(source.module)
                missed = tuple(sorted(set(counted) - reached))
                is_home = base.name == f"{source.module}.{name}"
                order = (len(missed), not is_home, source.module.count("."), source.module)
                candidates.append((order, f"{source.module}:{name}{base.suffix}", missed))
    _, text, missed = min(candidates)
    return Schema(text, base.place, sum(counted.values()), missed)
