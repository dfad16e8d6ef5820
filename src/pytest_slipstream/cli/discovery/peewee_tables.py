"""Which object names all of a project's Peewee models: a list of them, their base class, a module.

The invariant: what is proposed holds every model that was found, or those it misses are named.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from pytest_slipstream.cli.discovery.project import Project, Source
from pytest_slipstream.cli.discovery.tables import Base, Schema, best, classes

_MODELS = {"peewee.Model", "playhouse.signals.Model"}
_DATABASES = {"playhouse.flask_utils.FlaskDB", "playhouse.db_url.connect", "peewee.DatabaseProxy"}
_PRODUCTS = {
    "PostgresqlDatabase": "postgresql",
    "MySQLDatabase": "mysql",
    "SqliteDatabase": "sqlite",
}
_Models = dict[str, tuple[Source, ast.ClassDef]]


def product(name: str) -> str | None:
    """The product of a Peewee Database class, by its dotted name."""
    package, _, kind = name.rpartition(".")
    if package.partition(".")[0] not in ("peewee", "playhouse"):
        return None
    return next((found for end, found in _PRODUCTS.items() if kind.endswith(end)), None)


def find(project: Project) -> Iterator[Schema]:
    """The best object; none without models."""
    models = _models(project)
    inherited = {base for source, node in models.values() for base in _bases(project, source, node)}
    tables = {
        name: (source, node)
        for name, (source, node) in models.items()
        if name not in inherited or _has_fields(node)
    }
    if tables:
        found = _list_of(project, set(tables)) or _shared_base(project, models, tables)
        yield found or _module_of(tables)


def _models(project: Project) -> _Models:
    """All classes that derive from Peewee's, also by way of others."""
    roots = _MODELS | set(_models_of_databases(project))
    found: _Models = {}
    while True:
        new = {
            f"{source.module}.{node.name}": (source, node)
            for source, node in classes(project)
            if (roots | set(found)) & set(_bases(project, source, node))
        }
        if new.keys() <= found.keys():
            return found
        found |= new


def _bases(project: Project, source: Source, node: ast.ClassDef) -> list[str]:
    return [project.canonical(source.name_of(base)) for base in node.bases]


def _models_of_databases(project: Project) -> Iterator[str]:
    """``database.Model``, where ``database`` was made by Peewee."""
    for source in project.sources:
        for node in source.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                made_by = project.canonical(source.name_of(node.value.func))
                if made_by in _DATABASES or product(made_by):
                    for target in node.targets:
                        if isinstance(target, ast.Name):
                            yield f"{source.module}.{target.id}.Model"


def _has_fields(node: ast.ClassDef) -> bool:
    """Whether it declares fields, save for a primary key; as when the template is built."""
    return any(
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Call)
        and not any(keyword.arg == "primary_key" for keyword in statement.value.keywords)
        for statement in node.body
    )


def _list_of(project: Project, tables: set[str]) -> Schema | None:
    """A list or tuple with all of them."""
    for source in project.sources:
        for node in source.tree.body if not source.is_test else ():
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Tuple):
                named = {project.canonical(source.name_of(each)) for each in node.value.elts}
                if named >= tables and isinstance(node.targets[0], ast.Name):
                    text = f"{source.module}:{node.targets[0].id}"
                    return Schema(text, source.place(node), len(tables), (), "peewee")
    return None


def _shared_base(project: Project, models: _Models, tables: _Models) -> Schema | None:
    """The one class that all of them derive from."""
    tops = {
        name: place
        for name, (source, node) in models.items()
        if not set(_bases(project, source, node)) & set(models)
        for place in [source.place(node)]
    }
    if len(tops) != 1 or set(tops) & set(tables):
        return None
    ((name, place),) = tops.items()
    counted = Counter(source.module for source, _ in tables.values())
    found = best(project, Base(name, "", place), counted)
    return Schema(found.text, found.place, found.tables, found.missed, "peewee")


def _module_of(tables: _Models) -> Schema:
    """The module with the most of them, or the package that it is in."""
    counted = Counter(source.module for source, _ in tables.values())
    module, _ = counted.most_common(1)[0]
    missed = tuple(sorted(other for other in counted if other != module))
    source, node = next(found for found in tables.values() if found[0].module == module)
    return Schema(f"{module}:*", source.place(node), len(tables), missed, "peewee")
