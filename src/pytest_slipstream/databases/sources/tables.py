"""MetaData sources: ``create_all`` by SQLAlchemy 1.3, 1.4 or 2, whatever driver is installed.

No connection outlives `create`: the engine has no pool and is disposed.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.sources.building import call
from pytest_slipstream.errors import MissingExtraError

if TYPE_CHECKING:
    from sqlalchemy import MetaData

_ASYNC_DRIVERS = ("asyncpg",)


def create(metadata: MetaData, address: Address) -> None:
    """Create all tables of ``metadata`` in the database at ``address``."""
    driver = _driver(address.engine)
    if driver in _ASYNC_DRIVERS:
        call(lambda: _create_async(metadata, urls.url(address, driver)))
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
    candidates = {2: ("psycopg", "psycopg2", "asyncpg"), 1: ("psycopg2", "asyncpg")}
    for name in candidates[min(version[0], 2)]:
        if name == "asyncpg" and version < (1, 4):
            continue
        if importlib.util.find_spec(name) is not None:
            return name
    raise MissingExtraError(
        f"SQLAlchemy {'.'.join(map(str, version))} cannot create the tables: none of its "
        f"PostgreSQL drivers is installed: {', '.join(candidates[min(version[0], 2)])}",
        hint='pip install "pytest-slipstream[postgresql]"'
        if version >= (2, 0)
        else "pip install psycopg2-binary",
    )


def _sqlalchemy_version() -> tuple[int, int]:
    import sqlalchemy

    major, minor = sqlalchemy.__version__.split(".")[:2]
    return int(major), int(minor)


def definition(metadata: MetaData, engine: str) -> str:
    """The DDL of the tables that ``metadata`` has now, as one text that equals for equal schemas.

    Which tables it has depends on what has been imported, and they may be defined in modules that
    the source does not import. Types that the engine has no DDL for are left out: creating them
    fails anyway.
    """
    from sqlalchemy.exc import CompileError
    from sqlalchemy.schema import CreateIndex, CreateTable

    dialect = importlib.import_module(f"sqlalchemy.dialects.{engine}").dialect()
    statements: list[str] = []
    for key in sorted(metadata.tables):
        table = metadata.tables[key]
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        ddl: list[Any] = [CreateTable(table), *map(CreateIndex, indexes)]
        try:
            statements += [str(element.compile(dialect=dialect)) for element in ddl]
        except CompileError:
            statements.append(key)
    return "\n".join(statements)
