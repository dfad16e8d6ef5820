"""Which environment variables carry a database's URL or its parts, and what they default to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec

from pytest_slipstream.cli.discovery import peewee_tables
from pytest_slipstream.cli.discovery.project import Place, Project, Source

_READERS = {
    "os.getenv",
    "os.environ.get",
    "os.environ.setdefault",
    "decouple.config",
}
_READER_OBJECTS = {"starlette.config.Config", "environs.Env", "environ.Env"}
_SETTINGS = {"pydantic_settings.BaseSettings", "pydantic.BaseSettings"}
_URL_NAME = re.compile(
    r"(^|_)(DATABASE|DB|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|SQL|SQLALCHEMY|SQLITE)"
    r"(_|.*_)"
)
_URL_END = re.compile(r"(URL|URI|DSN)$")
_DATABASE_URL = re.compile(r"(?:(sqlite|postgres(?:ql)?|mysql|mariadb)(?:\+(\w+))?)://")
_PART = re.compile(r"(?:^|_)(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|SQL)_?(\w+)$")
_ENGINES = {
    "sqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_PLACEHOLDERS = {
    "HOST": "host",
    "HOSTNAME": "host",
    "SERVER": "host",
    "PORT": "port",
    "USER": "user",
    "USERNAME": "user",
    "PASSWORD": "password",
    "PASS": "password",
    "NAME": "database",
    "DB": "database",
    "DATABASE": "database",
}


_Read = tuple[str, str, ast.expr | ast.stmt]


class Variable(msgspec.Struct, frozen=True):
    """An environment variable that the project reads. ``placeholder``: what it has to hold."""

    name: str
    place: Place
    placeholder: str
    default: str = ""


class Url(msgspec.Struct, frozen=True):
    """A database URL that stands in the code: its product and SQLAlchemy's driver."""

    engine: str
    driver: str
    place: Place
    in_test: bool


def parse_url(text: str) -> tuple[str, str] | None:
    """The product and the driver of a database URL; None for other texts."""
    found = _DATABASE_URL.match(text)
    if not found:
        return None
    return _ENGINES[found[1]], found[2] or ""


def placeholder_of(name: str, default: str) -> str | None:
    """What a variable has to hold, by its name and its default; None if not a database's."""
    if parse_url(default):
        return "url"
    if "://" in default:
        return None
    if _URL_END.search(name):
        return "url" if _URL_NAME.search(name) else None
    found = _PART.search(name)
    return _PLACEHOLDERS.get(found[1]) if found else None


def find(project: Project) -> list[Variable]:
    """The variables, each once, the application's before those of its tests."""
    found: dict[str, Variable] = {}
    for source in sorted(project.sources, key=lambda source: source.is_test):
        read: list[_Read] = [*_read(project, source), *_fields(project, source)]
        for name, default, node in read:
            placeholder = placeholder_of(name, default)
            known = found.get(name)
            if placeholder and (known is None or (default and not known.default)):
                found[name] = Variable(name, source.place(node), placeholder, default)
    return list(found.values())


def find_urls(project: Project) -> list[Url]:
    """All database URLs that are written out, and Peewee's Databases, which name a product."""
    urls = []
    for source in project.sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parsed = parse_url(node.value)
                if parsed:
                    urls.append(Url(*parsed, source.place(node), source.is_test))
            elif isinstance(node, ast.Call):
                product = peewee_tables.product(source.name_of(node.func))
                if product is not None:
                    urls.append(Url(product, "", source.place(node), source.is_test))
    return urls


def _read(project: Project, source: Source) -> Iterator[_Read]:
    readers = _READERS | {
        f"{source.module}.{target.id}"
        for node in source.tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if project.canonical(source.name_of(node.value.func)) in _READER_OBJECTS
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Subscript) and source.name_of(node.value) == "os.environ":
            if name := _text(node.slice):
                yield name, "", node
        elif isinstance(node, ast.Call) and node.args:
            function = source.name_of(node.func)
            if function in readers or function.rpartition(".")[0] in readers - _READERS:
                keywords = [one.value for one in node.keywords if one.arg == "default"]
                defaults = [*node.args[1:], *keywords]
                if name := _text(node.args[0]):
                    yield name, _text(defaults[0]) if defaults else "", node


def _fields(project: Project, source: Source) -> Iterator[_Read]:
    """Fields of pydantic settings: their variables are named after them."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        if not _SETTINGS & {project.canonical(source.name_of(base)) for base in node.bases}:
            continue
        prefix = _prefix(node)
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                alias, default = _field_value(field.value)
                yield alias or (prefix + field.target.id).upper(), default, field


def _prefix(settings: ast.ClassDef) -> str:
    for node in ast.walk(settings):
        if isinstance(node, ast.keyword) and node.arg == "env_prefix":
            return _text(node.value)
        if isinstance(node, ast.Assign) and _is_name(node.targets[0], "env_prefix"):
            return _text(node.value)
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if _text(key) == "env_prefix":
                    return _text(value)
    return ""


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _field_value(value: ast.expr | None) -> tuple[str, str]:
    """A field's alias and its default, each "" if there is none."""
    if not isinstance(value, ast.Call):
        return "", _text(value)
    keywords = {one.arg: _text(one.value) for one in value.keywords}
    alias = keywords.get("validation_alias") or keywords.get("alias") or keywords.get("env") or ""
    first = _text(value.args[0]) if value.args else ""
    return alias, keywords.get("default") or first


def _text(node: ast.expr | None) -> str:
    """A literal text; of an f-string, what stands before its first placeholder."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0] if isinstance(node.values[0], ast.expr) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Call) and node.args:  # PostgresDsn("postgresql://…")
        return _text(node.args[0])
    return ""
