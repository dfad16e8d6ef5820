"""Apply a source to the database that is being built.

Whatever goes wrong becomes a `TemplateError` that names the source; the user's own exception is
its cause, with its traceback.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address, Engine
from pytest_slipstream.databases.sources import (
    migrations,
    models,
    objects,
    peewee_redirect,
    scripts,
    tables,
)
from pytest_slipstream.databases.sources.building import (
    call,
    environment,
    import_path,
    in_own_thread,
)
from pytest_slipstream.databases.sources.forms import MigrationSource, ObjectSource, Source
from pytest_slipstream.databases.sources.redirect import redirected
from pytest_slipstream.errors import SlipstreamError, TemplateError
from pytest_slipstream.settings import DatabaseSettings

if TYPE_CHECKING:
    from sqlalchemy import MetaData


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """The database that is being built.

    ``database`` is its key in the configuration; paths are relative to ``rootdir``, and modules
    are found there too.
    """

    database: str
    settings: DatabaseSettings
    engine: Engine
    address: Address
    rootdir: Path

    @property
    def url(self) -> str:
        """The SQLAlchemy URL, with the driver of the configuration."""
        return urls.url(self.address, self.settings.driver)

    def url_for(self, function: Callable[..., object]) -> str:
        """The URL with a driver that is synchronous or asynchronous as the function is.

        ``driver = ""`` is kept: the URL is then read by something else than SQLAlchemy.
        """
        driver = self.settings.driver
        if driver == "":
            return self.url
        if _is_async(function):
            return urls.async_url(self.address, driver or urls.DEFAULT_DRIVERS[self.address.engine])
        return urls.sync_url(self.address, driver)


def _is_async(function: Callable[..., object]) -> bool:
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))


def apply(source: Source, build: Build) -> None:
    """Make the source's part of the schema or the seed.

    Raises:
        TemplateError: when the source cannot be found, is of a wrong kind, or fails.
    """
    with import_path(build.rootdir):
        if isinstance(source, ObjectSource):
            _apply_object(source, build)
        elif isinstance(source, MigrationSource):
            _migrate(source, build)
        else:
            scripts.run(source, build.engine, build.address, build.rootdir)


def _apply_object(source: ObjectSource, build: Build) -> None:
    value = objects.load(source)
    parts = list(objects.parts(value))
    if not parts or None in parts:
        raise TemplateError(f"{source}: {_wrong_kind(value)}", hint=_VALID_KINDS[source.role])
    for part in parts:
        if objects.is_metadata(part):
            _create_tables(source, part, build)
        elif isinstance(part, models.Models):
            _create_models(source, part, build)
        elif callable(part):
            _call(source, objects.bind(source, part, build.url_for(part)), build)


def _create_tables(source: ObjectSource, metadata: MetaData, build: Build) -> None:
    if source.role == "seed":
        raise TemplateError(f"{source}: a MetaData has no rows", hint=_VALID_KINDS["seed"])
    if not metadata.tables:
        raise TemplateError(
            f"{source}: its MetaData has no tables: no module that has been imported defines one",
            hint="name it in a module that imports all models, as your migrations do",
        )
    _call(source, lambda: tables.create(metadata, build.address), build)


def _create_models(source: ObjectSource, found: models.Models, build: Build) -> None:
    if source.role == "seed":
        raise TemplateError(f"{source}: Peewee models have no rows", hint=_VALID_KINDS["seed"])
    if not found.classes:
        raise TemplateError(
            f"{source}: it holds no Peewee models: no module that has been imported defines one",
            hint="name a module that imports all models, or a list of them",
        )
    strict = build.settings.strict
    _call(source, lambda: models.create(found, build.address, strict=strict), build)


_VALID_KINDS = {
    "schema": "it can be a SQLAlchemy MetaData, a class with .metadata (SQLModel, a declarative "
    "base), Peewee models, their base class or their module, a list of those, or a callable that "
    "takes the URL",
    "seed": "it can be a callable that takes the URL, or a list of those",
}


def _wrong_kind(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        odd = next((item for item in value if None in objects.parts(item)), None)
        return "it is empty" if odd is None else f"it is a {kind} that holds {_a_kind(odd)}"
    return f"it is {_a_kind(value)}"


def _a_kind(value: object) -> str:
    """By its type alone: a value may hold secrets, and errors end up in logs."""
    return f"an object of type {type(value).__qualname__!r}"


def _migrate(source: MigrationSource, build: Build) -> None:
    found = migrations.layout(source, build.rootdir)
    sys.path[:0] = found.import_path if found is not None else ()
    migrations.import_early(source, build.rootdir)
    # Always in a thread of its own: an async env.py calls asyncio.run.
    upgrade = partial(migrations.upgrade, source, build.url, build.rootdir)
    _call(source, partial(in_own_thread, upgrade), build)


def _call(source: Source, function: Callable[[], object], build: Build) -> None:
    try:
        with (
            environment(build.settings, build.address),
            redirected(build.database, build.address) as connections,
            peewee_redirect.redirected(build.database, build.address),
        ):
            call(function, connections.end_async)
    except SlipstreamError:
        raise
    except (Exception, SystemExit) as error:
        raise TemplateError(
            f"{source} failed: {objects.summary(error)}", hint=_hint(error)
        ) from error


def _hint(error: BaseException) -> str | None:
    # By name: SQLAlchemy need not be installed.
    if type(error).__name__ == "NoSuchModuleError":
        return "set the database's option `driver` to one that your SQLAlchemy has, as 'psycopg2'"
    if "requires an async driver" in str(error):
        return (
            "write it as `async def`: a synchronous function gets a URL with a synchronous driver"
        )
    return None
