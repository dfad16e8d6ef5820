"""From ``pyproject.toml``, the environment and the command line to `Settings`.

The invariant: every value carries where it came from until it is decoded and judged, so that an
error names the key, the variable or the flag that the user wrote.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings.model import DatabaseSettings, Settings
from pytest_slipstream.settings.options import DATABASE_OPTIONS, OPTIONS, TOP_OPTIONS, Option
from pytest_slipstream.settings.verdicts import (
    database_key_problem,
    database_problems,
    shared_variable,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TABLE = "tool.slipstream"
_SWITCHES = {"true": True, "1": True, "yes": True, "on": True} | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_NAMED = re.compile(r"([a-z][a-z0-9_]*)=(.*)", re.DOTALL)


class Given(msgspec.Struct, frozen=True):
    """A value that was given, and how its giver calls it: a key, a variable or a flag."""

    value: Any
    origin: str


Table = dict[str, Given]


def load(
    rootpath: Path, cli: Mapping[str, object] | argparse.Namespace, environ: Mapping[str, str]
) -> Settings:
    """The settings of a project.

    Args:
        rootpath: The directory of ``pyproject.toml``. Without that file, or without its table
            ``[tool.slipstream]``, there are no databases.
        cli: What pytest parsed; see `register`.
        environ: The environment.

    Raises:
        ConfigurationError: With the name of the key, variable or flag and what is valid.
    """
    top, databases = _from_file(_read(rootpath / "pyproject.toml"))
    for texts in (_of_environment(environ, bool(databases)), _of_command_line(cli)):
        for option, origin, values in texts:
            if option.of_database:
                _overlay_databases(option, origin, values, databases)
            else:
                _overlay(option, origin, values, top)
    decoded = {name: _database(name, table) for name, table in databases.items()}
    if found := shared_variable(decoded):
        variable, first, second = found
        raise ConfigurationError(
            f"environment variable {variable} is set by {_TABLE}.databases.{first}.env and by "
            f"{_TABLE}.databases.{second}.env, and can hold only one of the two"
        )
    return Settings(databases=decoded, **_decode(_TABLE, top, TOP_OPTIONS))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    tool = document.get("tool", {})
    return _table(_TABLE, tool.get("slipstream", {}) if isinstance(tool, dict) else {})


def _table(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name} is {value!r}, and must be a table")
    return value


def _from_file(table: Mapping[str, Any]) -> tuple[Table, dict[str, Table]]:
    databases = {}
    for name, value in _table(f"{_TABLE}.databases", table.get("databases", {})).items():
        key = f"{_TABLE}.databases.{name}"
        if problem := database_key_problem(name):
            raise ConfigurationError(f"{key}: the name {name!r} {problem}")
        databases[name] = _given(key, _table(key, value))
    return _given(_TABLE, {k: v for k, v in table.items() if k != "databases"}), databases


def _given(prefix: str, table: Mapping[str, Any]) -> Table:
    return {key: Given(value, f"{prefix}.{key}") for key, value in table.items()}


Texts = Iterable[tuple[Option, str, list[str]]]


def _of_environment(environ: Mapping[str, str], configured: bool) -> Texts:
    """One value a line. Variables may be set for all projects: without a database they rest."""
    for option in OPTIONS:
        values = environ.get(option.environment, "").splitlines()
        if values and (configured or not option.of_database):
            yield option, option.environment, values


def _of_command_line(cli: Mapping[str, object] | argparse.Namespace) -> Texts:
    given = cli if isinstance(cli, Mapping) else vars(cli)
    for option in OPTIONS:
        value = given.get(option.dest)
        if isinstance(value, bool):
            origin = option.flag if value else option.flag.replace("--", "--no-", 1)
            yield option, origin, [str(value).lower()]
        elif isinstance(value, list):
            yield option, option.flag, value


def _overlay_databases(
    option: Option, origin: str, values: list[str], databases: dict[str, Table]
) -> None:
    """``NAME=VALUE`` is for one database, ``VALUE`` for every other that can use the option.

    The entries of a table add up, so there ``KEY=VALUE`` is for all of them.
    """
    named: dict[str, list[str]] = {}
    unnamed = []
    for value in values:
        name, text = _name_and_text(option, origin, value, databases)
        if name is None:
            unnamed.append(text)
        else:
            named.setdefault(name, []).append(text)
    if unnamed:
        fitting = [name for name in databases if _fits(option, databases[name])]
        if not fitting:
            raise ConfigurationError(
                f"{origin} is {_shown(unnamed[-1])}, but no database that can use it is configured",
                hint="'slipstream init' writes a configuration" if not databases else None,
            )
        for name in fitting:
            if option.kind == "table":
                named[name] = unnamed + named.get(name, [])
            else:
                named.setdefault(name, unnamed)
    for name, texts in named.items():
        _overlay(option, origin, texts, databases[name])


def _name_and_text(
    option: Option, origin: str, value: str, databases: Mapping[str, Table]
) -> tuple[str | None, str]:
    found = _NAMED.match(value)
    if not found:
        return None, value
    name, text = found.groups()
    if name in databases and (option.kind != "table" or "=" in text):
        return name, text
    if option.kind == "table":
        return None, value
    raise ConfigurationError(
        f"{origin} is {_shown(value)}, but no database {name!r} is configured; "
        f"there are: {', '.join(databases) or 'none'}",
        hint=_did_you_mean(name, databases),
    )


def _fits(option: Option, table: Table) -> bool:
    wanted = option.needs.get("engine")
    engine = table.get("engine")
    return wanted is None or engine is None or engine.value == wanted


def _overlay(option: Option, origin: str, texts: list[str], table: Table) -> None:
    """Put a value given as text over what is there; tables are merged key by key."""
    value: Any = texts[-1]
    if option.kind == "switch":
        value = _SWITCHES.get(value.lower(), value)
    elif option.kind == "number":
        value = int(value) if re.fullmatch(r"-?\d+", value) else value
    elif option.kind == "list":
        value = texts
    elif option.kind == "table":
        before = table[option.name].value if option.name in table else {}
        value = {**_table(option.name, before), **dict(_pair(origin, text) for text in texts)}
    table[option.name] = Given(value, origin)


def _pair(origin: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"{origin} is {text!r}, and must be KEY=VALUE")
    return key, value


def _database(name: str, table: Table) -> DatabaseSettings:
    prefix = f"{_TABLE}.databases.{name}"
    settings = DatabaseSettings(**_decode(prefix, table, DATABASE_OPTIONS))
    for key, problem in database_problems(settings):
        option, dot, inner = key.partition(".")
        origin = table[option].origin if option in table else f"{prefix}.{option}"
        of = "" if origin.startswith(prefix) else f" for database {name!r}"
        raise ConfigurationError(f"{origin}{dot}{inner}{of} {problem}")
    return settings


def _decode(prefix: str, table: Table, options: tuple[Option, ...]) -> dict[str, Any]:
    valid = {option.name: option for option in options}
    for key in table:
        if key not in valid:
            raise ConfigurationError(
                f"{prefix}.{key} is not known in this version; valid keys: "
                f"{', '.join(sorted([*valid, 'databases'] if prefix == _TABLE else valid))}",
                hint=_elsewhere(key, prefix) or _did_you_mean(key, valid),
            )
    for option in options:
        if option.required and option.name not in table:
            raise ConfigurationError(
                f"{prefix}.{option.name} is missing; it must be {option.expected}"
            )
    return {key: _convert(valid[key], given) for key, given in table.items()}


def _convert(option: Option, given: Given) -> Any:
    value = [given.value] if option.kind == "list" and isinstance(given.value, str) else given.value
    try:
        # On the command line, a table's numbers are texts.
        return msgspec.convert(value, option.type, strict=option.kind != "table")
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{given.origin} is {_shown(given.value)}, and must be {option.expected}",
            hint=_did_you_mean(given.value, option.choices),
        ) from error


def _shown(value: object) -> str:
    """A value as an error repeats it: without a URL's password."""
    return re.sub(r"(://[^:@/\s]*):[^@\s]*@", r"\1:***@", repr(value))


def _elsewhere(key: str, prefix: str) -> str | None:
    """The key is valid in the other table."""
    if prefix == _TABLE and key in {option.name for option in DATABASE_OPTIONS}:
        return f"{key!r} belongs to a database: [{_TABLE}.databases.main]"
    if prefix != _TABLE and key in {option.name for option in TOP_OPTIONS}:
        return f"{key!r} belongs to [{_TABLE}]"
    return None


def _did_you_mean(word: object, valid: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(str(word), list(valid), n=1)
    return f"did you mean {near[0]!r}?" if near else None
