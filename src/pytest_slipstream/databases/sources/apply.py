"""Apply a source to the database that is being built.

Whatever goes wrong becomes a `TemplateError` that names the source; the user's own exception is
its cause, with its traceback.
"""

from __future__ import annotations

from pathlib import Path

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address, Engine
from pytest_slipstream.databases.sources import migrations, objects, scripts, tables
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


def apply(
    source: Source, engine: Engine, address: Address, settings: DatabaseSettings, rootdir: Path
) -> None:
    """Make the source's part of the schema or the seed.

    Args:
        source: What to apply.
        engine: Runs scripts.
        address: The database that is being built.
        settings: The database's table in the configuration.
        rootdir: What paths are relative to; modules are found there too.

    Raises:
        TemplateError: when the source cannot be found, is of a wrong kind, or fails.
    """
    with import_path(rootdir):
        if isinstance(source, ObjectSource):
            _apply_object(source, address, settings)
        elif isinstance(source, MigrationSource):
            _migrate(source, address, settings, rootdir)
        else:
            scripts.run(source, engine, address, rootdir)


def _apply_object(source: ObjectSource, address: Address, settings: DatabaseSettings) -> None:
    value = objects.load(source)
    found = list(objects.parts(value))
    if not found or None in found:
        raise TemplateError(f"{source}: {_wrong_kind(value)}", hint=_VALID_KINDS[source.role])
    for part in found:
        if not objects.is_metadata(part):
            url = urls.url(address, settings.driver)
            _call(source, objects.bind(source, part, url), address, settings)
        elif source.role == "seed":
            raise TemplateError(f"{source}: a MetaData has no rows", hint=_VALID_KINDS["seed"])
        elif not part.tables:
            raise TemplateError(
                f"{source}: its MetaData has no tables: nothing that module {source.module!r} "
                "imports defines one",
                hint="name a module that imports all models, as your migrations do",
            )
        else:
            _call(source, lambda part=part: tables.create(part, address), address, settings)


_VALID_KINDS = {
    "schema": "it can be a SQLAlchemy MetaData, a class with .metadata (SQLModel, a declarative "
    "base), a list of those, or a callable that takes the URL",
    "seed": "it can be a callable that takes the URL, or a list of those",
}


def _wrong_kind(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        odd = next((item for item in value if None in objects.parts(item)), None)
        return "it is empty" if odd is None else f"it is a {kind} that holds {odd!r}"
    return f"it is {value!r}, a {kind}"


def _migrate(
    source: MigrationSource, address: Address, settings: DatabaseSettings, rootdir: Path
) -> None:
    url = urls.url(address, settings.driver)
    _call(
        source,
        # Always in a thread of its own: an async env.py calls asyncio.run.
        lambda: in_own_thread(lambda: migrations.upgrade(source, url, rootdir)),
        address,
        settings,
    )
