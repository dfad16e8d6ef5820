"""The template of a database: reused when it is there, else built once for all who want it.

The invariant: a template carries its final name only when it is complete. It is built under
another name and under a lock that dies with its process, so that whoever was killed in mid-build
leaves only what the next builder drops.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address, Engine, Progress
from pytest_slipstream.databases.fingerprint import fingerprint
from pytest_slipstream.databases.sources import decode_all
from pytest_slipstream.events import Event, PatternUnmatched, TemplateCollected, TemplateReady
from pytest_slipstream.settings import DatabaseSettings

_NOTICED_WAIT_S = 0.3


def ready(
    engine: Engine,
    database: str,
    settings: DatabaseSettings,
    server_identity: str,
    *,
    rootdir: Path,
    cache_dir: Path,
    progress: Progress,
    emit: Callable[[Event], None],
) -> str:
    """Get or build the template of a configured database. After `Engine.open`.

    Args:
        engine: Where the template lives.
        database: The database's key in the configuration.
        settings: Its table in the configuration.
        server_identity: All of the server that a template depends on.
        rootdir: What paths are relative to.
        cache_dir: Where file contents are remembered.
        progress: Told what takes time.
        emit: Given the events of templates.

    Returns:
        The published template's name.

    Raises:
        TemplateError: when the schema or the seed fails; nothing half-built is left.
    """
    start = time.perf_counter()
    made = fingerprint(settings, rootdir, server_identity, cache_dir)
    for pattern in made.unmatched:
        emit(PatternUnmatched(database=database, pattern=pattern))
    digest = made.digest
    template = naming.template_name(database, digest)
    there = engine.has_template(template)
    built = not there and _build(engine, database, settings, template, digest, rootdir, progress)
    seconds = time.perf_counter() - start
    emit(TemplateReady(database=database, template=template, built=built, seconds=seconds))
    old = collect(engine, database, settings.keep_templates, in_use=template) if built else []
    for name in old:
        emit(TemplateCollected(database=database, template=name))
    return template


def _build(
    engine: Engine,
    database: str,
    settings: DatabaseSettings,
    template: str,
    digest: str,
    rootdir: Path,
    progress: Progress,
) -> bool:
    """Build it; False when another process has done so while this one waited for the right to."""
    from pytest_slipstream.databases.sources.apply import Build, apply

    with _waited_for(engine, template, progress):
        if engine.has_template(template):
            return False
        with _under_construction(engine, database, template, digest) as address:
            build = Build(
                database=database,
                settings=settings,
                engine=engine,
                address=address,
                rootdir=rootdir,
            )
            for source in decode_all(settings):
                progress(f"building the template: {source}")
                apply(source, build)
    return True


@contextmanager
def _waited_for(engine: Engine, template: str, progress: Progress) -> Iterator[None]:
    """Hold the right to build; tell the user when another process has it."""
    notice = threading.Timer(
        _NOTICED_WAIT_S, progress, ["waiting for the template that another process builds"]
    )
    notice.daemon = True
    notice.start()
    try:
        with engine.build_lock(template):
            notice.cancel()
            yield
    finally:
        notice.cancel()


@contextmanager
def _under_construction(
    engine: Engine, database: str, template: str, digest: str
) -> Iterator[Address]:
    """An empty database that becomes the template when the block ends, and is dropped otherwise."""
    address = engine.begin_build(template)
    try:
        yield address
        engine.publish(template, database, digest)
    except BaseException:
        engine.abandon_build(template)
        raise


def collect(engine: Engine, database: str, keep: int, *, in_use: str) -> list[str]:
    """Drop the least recently used templates of a database.

    Args:
        engine: Where they are.
        database: The database's key in the configuration; others' templates are left alone.
        keep: How many stay, `in_use` among them.
        in_use: The template of this run: the most recently used, whatever the clock says.

    Returns:
        The names of those dropped; one that someone uses stays.
    """
    others = [info for info in engine.templates() if info.database == database]
    others = [info for info in others if info.name != in_use]
    others.sort(key=lambda info: info.used_at, reverse=True)
    return [info.name for info in others[keep - 1 :] if engine.drop_template(info.name)]
