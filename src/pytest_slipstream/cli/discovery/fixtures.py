"""The hand-written fixtures that slipstream makes superfluous."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec

from pytest_slipstream.cli.discovery.project import Place, Project, Source

_FIXTURES = {"pytest.fixture", "pytest_asyncio.fixture"}
_CALLS = {
    "create_all": "creates the tables",
    "drop_all": "drops the tables",
    "create_tables": "creates the tables",
    "drop_tables": "drops the tables",
    "bind_ctx": "binds the models to another database",
    "create_database": "creates a database",
    "drop_database": "drops a database",
    "begin_nested": "wraps the test in a transaction",
}
_SQL = (
    (re.compile(r"\bTRUNCATE\b", re.I), "empties tables"),
    (re.compile(r"\bDELETE\s+FROM\b", re.I), "empties tables"),
    (re.compile(r"\bDROP\s+(TABLE|SCHEMA)\b", re.I), "drops the tables"),
    (re.compile(r"\bCREATE\s+DATABASE\b", re.I), "creates a database"),
    (re.compile(r"\bDROP\s+DATABASE\b", re.I), "drops a database"),
)
_PACKAGES = {
    "pytest_postgresql": "starts PostgreSQL for the tests",
    "testcontainers": "starts a container for the tests",
    "pytest_databases": "starts a container for the tests",
}


class Superfluous(msgspec.Struct, frozen=True):
    """A fixture, or what stands for one. ``gives``: it has a value that tests may need.

    ``decorates``: it is no fixture but stands above tests, as ``@with_test_db(…)``.
    """

    name: str
    place: Place
    does: tuple[str, ...]
    gives: bool
    decorates: bool = False


def find(project: Project) -> list[Superfluous]:
    """The fixtures and decorators that create, drop or empty, by place."""
    found: list[Superfluous] = []
    for source in project.sources:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            decorates = source.is_test and node in source.tree.body and _is_decorator(node)
            if decorates or _is_fixture(source, node):
                does = tuple(dict.fromkeys(_work_with_helpers(source, node)))
                gives = not decorates and _gives(node)
                if does:
                    place = source.place(node)
                    found.append(Superfluous(node.name, place, does, gives, decorates))
        found += _package_fixtures(source)
    return sorted(found, key=lambda one: one.place)


def _is_fixture(source: Source, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        source.name_of(one.func if isinstance(one, ast.Call) else one) in _FIXTURES
        for one in node.decorator_list
    )


def _is_decorator(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it defines a function and gives that back."""
    inner = {
        each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return any(
        isinstance(each, ast.Return) and isinstance(each.value, ast.Name) and each.value.id in inner
        for each in node.body
    )


def _work_with_helpers(source: Source, node: ast.AST) -> Iterator[str]:
    """What it does, and what functions of its own module do that it calls."""
    called = {
        inner.func.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    }
    yield from _work(source, node)
    for each in source.tree.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name in called:
            yield from _work(source, each)


def _work(source: Source, node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute | ast.Name):
            name = inner.attr if isinstance(inner, ast.Attribute) else inner.id
            if name in _CALLS:
                yield _CALLS[name]
            package = source.name_of(inner).partition(".")[0]
            if package in _PACKAGES:
                yield _PACKAGES[package]
        elif isinstance(inner, ast.keyword) and inner.arg == "join_transaction_mode":
            yield _CALLS["begin_nested"]
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from (does for pattern, does in _SQL if pattern.search(inner.value))


def _gives(node: ast.AST) -> bool:
    return any(
        isinstance(inner, ast.Yield | ast.Return) and inner.value is not None
        for inner in ast.walk(node)
    )


def _package_fixtures(source: Source) -> Iterator[Superfluous]:
    """``postgresql_proc = factories.postgresql_proc(…)`` makes a fixture too."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            package = source.name_of(node.value.func).partition(".")[0]
            if package == "pytest_postgresql" and isinstance(node.targets[0], ast.Name):
                does = (_PACKAGES[package],)
                yield Superfluous(node.targets[0].id, source.place(node), does, True)
