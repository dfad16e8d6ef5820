"""MetaData sources: ``create_all`` by SQLAlchemy 1.3, 1.4 or 2, whatever driver is installed.

No connection outlives `create`: the engine has no pool and is disposed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.sources.building import in_own_thread
from pytest_slipstream.errors import MissingExtraError

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

_ASYNC_DRIVERS = ("asyncpg",)


def create(metadata: MetaData, address: Address) -> None:
    """Create all tables of ``metadata`` in the database at ``address``."""
    driver = _driver(address.engine)
    if driver in _ASYNC_DRIVERS:
        import asyncio

        url = urls.url(address, driver)
        in_own_thread(lambda: asyncio.run(_create_async(metadata, url)))
        return
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(urls.url(address, driver), poolclass=NullPool)
    try:
        metadata.create_all(engine)
    finally:
        engine.dispose()


async def _create_async(metadata: MetaData, url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
    finally:
        await engine.dispose()


def _driver(engine: str) -> str:
    """A driver that the installed SQLAlchemy has a dialect for, and that is installed."""
    if engine != "postgresql":
        return urls.DEFAULT_DRIVERS[engine]
    version = _sqlalchemy_version()
    candidates = ["psycopg2"]
    if version >= (1, 4):
        candidates.append("asyncpg")
    if version >= (2, 0):
        candidates.insert(0, "psycopg")
    for name in candidates:
        if importlib.util.find_spec(name) is not None:
            return name
    raise MissingExtraError(
        f"SQLAlchemy {version[0]}.{version[1]} cannot create the tables: of its PostgreSQL "
        f"drivers, none is installed ({', '.join(candidates)})",
        hint=f"pip install {'psycopg[binary]' if version >= (2, 0) else 'psycopg2-binary'}",
    )


def _sqlalchemy_version() -> tuple[int, int]:
    import sqlalchemy

    major, minor = sqlalchemy.__version__.split(".")[:2]
    return int(major), int(minor)


def tables_from_elsewhere(metadata: MetaData, files: Collection[str]) -> list[Table]:
    """The tables of ``metadata`` that no loaded module of ``files`` holds, by name.

    Which tables it has depends on what has been imported: a model registers itself, also from a
    module that the source does not import.
    """
    from sqlalchemy import Table

    loaded = [module for module in list(sys.modules.values()) if _file(module) in files]
    held = {
        id(table)
        for module in loaded
        for value in vars(module).values()
        if type(table := vars(value).get("__table__") if isinstance(value, type) else value)
        is Table
    }
    return [table for _, table in sorted(metadata.tables.items()) if id(table) not in held]


def _file(module: object) -> str | None:
    # Some programs put objects into sys.modules that are no modules and answer to every name.
    return getattr(module, "__file__", None) if isinstance(module, ModuleType) else None


def definition(tables: Iterable[Table], engine: str) -> str:
    """The DDL of ``tables``, as one text that is equal for equal schemas.

    A table with a type that the engine has no DDL for counts by its name: creating it fails anyway.
    """
    from sqlalchemy.exc import CompileError
    from sqlalchemy.schema import CreateIndex, CreateTable

    dialect = importlib.import_module(f"sqlalchemy.dialects.{engine}").dialect()
    statements: list[str] = []
    for table in tables:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        ddl: list[Any] = [CreateTable(table), *map(CreateIndex, indexes)]
        try:
            statements += [str(element.compile(dialect=dialect)) for element in ddl]
        except CompileError:
            statements.append(table.fullname)
    return "\n".join(statements)
