"""Alembic sources: ``upgrade head`` in this process, against the database that is being built.

The URL goes both ways that an ``env.py`` may read it: as ``sqlalchemy.url``, and (by `building`)
in the environment. Logging stays as it is: an ``env.py`` calls ``fileConfig``, which would disable
the loggers of the application under test.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pytest_slipstream.databases import imports
from pytest_slipstream.databases.sources import objects
from pytest_slipstream.databases.sources.forms import MigrationSource
from pytest_slipstream.errors import MissingExtraError, TemplateError


class Layout(msgspec.Struct, frozen=True):
    """Where an Alembic environment is: ``versions`` are the directories of its revisions, and
    ``import_path`` is where its modules are found besides ``sys.path``."""

    ini: Path
    script_location: Path
    versions: tuple[Path, ...]
    import_path: tuple[str, ...]

    def files(self) -> list[Path]:
        """Everything that migrations can read, compiled files left out."""
        directories = dict.fromkeys((self.script_location, *self.versions))
        found = (path for directory in directories for path in directory.rglob("*"))
        return [path for path in found if "__pycache__" not in path.parts and path.is_file()]


def layout(source: MigrationSource, rootdir: Path) -> Layout | None:
    """Read the ini file without Alembic; None when it cannot be read or names no directory.

    A relative ``script_location`` is relative to the ini file, or else to ``rootdir``.
    """
    import configparser

    ini = rootdir / source.text
    parser = configparser.ConfigParser({"here": ini.parent.as_posix()})
    try:
        parser.read_string(ini.read_text(encoding="utf-8"))
        location = parser.get("alembic", "script_location", fallback="")
        versions = parser.get("alembic", "version_locations", fallback="")
        path = parser.get("alembic", "prepend_sys_path", fallback="")
    except (OSError, UnicodeDecodeError, configparser.Error):
        return None
    script_location = _resolve(location, ini, rootdir)
    if script_location is None:
        return None
    return Layout(
        ini,
        script_location,
        tuple(_directories(versions, ini, rootdir)) or (script_location / "versions",),
        (*map(str, _directories(path, ini, rootdir)), str(ini.parent)),
    )


def _directories(texts: str, ini: Path, rootdir: Path) -> Iterator[Path]:
    for text in texts.replace(",", " ").split():
        # The separator is a space or that of paths, by the ini's version; "package:inside" is one.
        pieces = [text] if _resolve(text, ini, rootdir) else text.split(os.pathsep)
        yield from filter(None, (_resolve(piece, ini, rootdir) for piece in pieces))


def _resolve(text: str, ini: Path, rootdir: Path) -> Path | None:
    candidates = [(ini.parent / text).resolve(), (rootdir / text).resolve()]
    package, colon, inside = text.partition(":")
    if colon and not Path(text).is_absolute():
        top, *rest = package.split(".")
        candidates = [Path(entry, top, *rest, inside) for entry in [*sys.path, str(rootdir)]]
    return next((path for path in candidates if text and path.is_dir()), None)


def upgrade(source: MigrationSource, url: str, rootdir: Path) -> None:
    """Run all migrations.

    Args:
        source: The ini file.
        url: The SQLAlchemy URL of the database that is being built.
        rootdir: What the ini's path is relative to.

    Raises:
        TemplateError: when the ini or its directory is not there. What migrations raise is theirs.
    """
    command, config_class = _alembic()
    ini = rootdir / source.text
    found = layout(source, rootdir)
    if found is None:
        raise TemplateError(
            f"{source}: {_missing(ini)}", hint=f"write the path relative to {rootdir}"
        )
    config = config_class(str(ini))
    config.set_main_option("script_location", str(found.script_location).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    with _logging_untouched():
        command.upgrade(config, "heads")


def _alembic() -> tuple[Any, Any]:
    try:
        return (
            importlib.import_module("alembic.command"),
            importlib.import_module("alembic.config").Config,
        )
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Alembic is not installed, and the schema is made by it", hint="pip install alembic"
        ) from error


def _missing(ini: Path) -> str:
    if not ini.is_file():
        return f"there is no file at {ini}"
    return f"{ini} has no section [alembic] whose script_location is a directory"


@contextmanager
def _logging_untouched() -> Iterator[None]:
    import logging.config

    configure = logging.config.fileConfig
    logging.config.fileConfig = lambda *_, **__: None
    try:
        yield
    finally:
        logging.config.fileConfig = configure


def import_early(source: MigrationSource, rootdir: Path) -> None:
    """Import what ``env.py`` will import, while the environment is still the tests' own.

    What is not found here is missed again, with a traceback, by ``env.py`` itself.

    Raises:
        TemplateError: when a module raises something else.
    """
    found = layout(source, rootdir)
    if found is None or not (found.script_location / "env.py").is_file():
        return
    for item in imports.imports_of((found.script_location / "env.py").read_bytes()):
        for module in (item.module, *(f"{item.module}.{name}" for name in item.names)):
            if item.level or not module or module.endswith("*"):
                continue
            try:
                importlib.import_module(module)
            except ImportError:
                continue
            except (Exception, SystemExit) as error:
                raise TemplateError(
                    f"{source}: module {module!r}, which its env.py imports, does not import: "
                    f"{objects.summary(error)}"
                ) from error
