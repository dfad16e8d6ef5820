"""The fingerprint: everything that a template depends on, as one digest.

The invariant: equal fingerprints mean equal templates, as far as the sources can be followed; what
cannot be seen is named by the user in the option ``fingerprint``. Nothing of the user's is
imported. File contents are remembered by their `stat`, compared for equality only, so that a clock
that was set back cannot make an old answer look new.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from pytest_slipstream.databases.imports import closure
from pytest_slipstream.databases.known_files import KnownFiles
from pytest_slipstream.databases.modules import Resolver
from pytest_slipstream.databases.sources import migrations, models, objects, scripts, tables
from pytest_slipstream.databases.sources.forms import (
    DirectorySource,
    MigrationSource,
    ObjectSource,
    ScriptSource,
    Source,
    decode_all,
)
from pytest_slipstream.settings import DatabaseSettings

FORMAT = 1
"""Raised when slipstream's own part of a template changes, so that old ones are built again."""

_SHAPING = ("alembic", "peewee", "sqlalchemy", "sqlmodel")


class Fingerprint(msgspec.Struct, frozen=True):
    """``digest`` stands for all ``parts``: pairs of what it is and its own digest or value.

    ``unmatched``: entries of the option ``fingerprint`` that name no file.
    """

    digest: str
    parts: tuple[tuple[str, str], ...]
    unmatched: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files it depends on, relative to the root directory where they lie below it."""
        return tuple(name[5:] for name, _ in self.parts if name.startswith("file "))

    def changed_since(self, earlier: Fingerprint) -> tuple[str, ...]:
        """The parts that differ, by name."""
        return tuple(sorted({name for name, _ in set(self.parts) ^ set(earlier.parts)}))


def fingerprint(
    settings: DatabaseSettings, rootdir: Path, server_identity: str, cache_dir: Path
) -> Fingerprint:
    """The fingerprint of a database's template.

    Args:
        settings: The database's table in the configuration.
        rootdir: What paths are relative to.
        server_identity: All of the server that a template depends on.
        cache_dir: Where file contents are remembered.
    """
    sources = decode_all(settings)
    known = KnownFiles.load(cache_dir, f"{rootdir}\0{settings.schema}\0{settings.seed}")
    files, distributions = _followed(sources, rootdir, known)
    files |= {str(rootdir / source.text) for source in sources if _is_file(source)}
    files |= {
        str(file)
        for source in sources
        if isinstance(source, DirectorySource)
        for file in scripts.files(source, rootdir)
    }
    named = {pattern: set(_named(pattern, rootdir)) for pattern in settings.fingerprint}
    files = files.union(*named.values())
    parts = [
        ("format", str(FORMAT)),
        ("server", server_identity),
        *((f"option {name}", str(getattr(settings, name))) for name in _OPTIONS),
        *((f"package {name}", version) for name, version in sorted(distributions.items())),
        *((f"file {_shown(file, rootdir)}", known.digest(file)) for file in sorted(files)),
        *_tables_from_elsewhere(sources, settings.engine, files),
    ]
    known.save()
    digest = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
    unmatched = tuple(pattern for pattern, found in named.items() if not found)
    return Fingerprint(digest, tuple(parts), unmatched)


_OPTIONS = ("engine", "schema", "seed", "extensions", "locale")


def _is_file(source: Source) -> bool:
    return isinstance(source, ScriptSource | MigrationSource)


def _followed(
    sources: Iterable[Source], rootdir: Path, known: KnownFiles
) -> tuple[set[str], dict[str, str]]:
    """The Python files that the sources run, and the installed packages that these use."""
    named = [source for source in sources if isinstance(source, ObjectSource)]
    # A Peewee base class knows the models of every module that has been imported.
    modules = [source.module for source in named] + [
        model.__module__
        for source in named
        for part in objects.parts(objects.loaded(source))
        if isinstance(part, models.Models)
        for model in part.classes
    ]
    layouts = [
        layout
        for source in sources
        if isinstance(source, MigrationSource)
        and (layout := migrations.layout(source, rootdir)) is not None
    ]
    extra = [entry for layout in layouts for entry in layout.import_path]
    resolver = Resolver([*extra, *sys.path, str(rootdir)])
    migration_files = {str(path) for layout in layouts for path in layout.files()}
    run = {file for file in migration_files if file.endswith(".py")}
    run |= {file for module in modules if (file := _loaded_file(module, resolver))}
    found = closure(modules, run, resolver, known.imports)
    return migration_files | found.files, _distributions(found.foreign, resolver, known)


def _loaded_file(module: str, resolver: Resolver) -> str | None:
    """The file of a module that is loaded and not on the search path (a conftest, for example)."""
    if resolver.find(module) is not None:
        return None
    return getattr(sys.modules.get(module), "__file__", None)


def _distributions(
    packages: Iterable[str], resolver: Resolver, known: KnownFiles
) -> dict[str, str]:
    """Versions, read from the names of metadata directories: `importlib.metadata` is slow.

    A package whose distribution has another name counts by the content of its main file.
    """
    installed: dict[str, str] = {}
    for entry in sys.path:
        for name in resolver.listing(entry):
            if found := re.match(r"(.+?)-([^-]+)(?:-[^-]+)?\.(?:dist|egg)-info\Z", name):
                installed.setdefault(_normal(found[1]), found[2])
    versions = {}
    for package in {*packages, *_SHAPING}:
        place = resolver.find(package)
        if _normal(package) in installed:
            versions[package] = installed[_normal(package)]
        elif place is not None and place.file is not None:
            versions[package] = known.digest(place.file)
    return versions


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _named(pattern: str, rootdir: Path) -> Iterator[str]:
    for path in glob.glob(pattern, root_dir=rootdir, recursive=True):  # noqa: PTH207
        if (rootdir / path).is_file():
            yield str(rootdir / path)


def _shown(file: str, rootdir: Path) -> str:
    below = str(rootdir) + os.sep
    return file[len(below) :] if file.startswith(below) else file


def _tables_from_elsewhere(
    sources: Iterable[Source], engine: str, files: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Tables that modules outside ``files`` have added to a MetaData that is loaded already."""
    for source in sources:
        if isinstance(source, ObjectSource):
            for part in objects.parts(objects.loaded(source)):
                if objects.is_metadata(part) and (
                    found := tables.tables_from_elsewhere(part, files)
                ):
                    names = ", ".join(table.fullname for table in found)
                    text = tables.definition(found, engine)
                    yield f"tables {names}", hashlib.sha256(text.encode()).hexdigest()
