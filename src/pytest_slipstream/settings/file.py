"""The tables of ``pyproject.toml``, each value with its key, before anything is decoded.

The invariant: a lane's table of a database is whole. It has what the lane says and, for the rest,
what the database's own table says, save for values that belong to another product.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings.lane_verdicts import lane_key_problem, unknown_problem
from pytest_slipstream.settings.options import DATABASE_OPTIONS, Option
from pytest_slipstream.settings.verdicts import database_key_problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = "tool.slipstream"


class Given(msgspec.Struct, frozen=True):
    """A value that was given, and how its giver calls it: a key, a variable or a flag."""

    value: Any
    origin: str


Table = dict[str, Given]


class Tables(msgspec.Struct, frozen=True):
    """What the file says.

    Args:
        top: ``[tool.slipstream]`` itself.
        databases: The databases of all lanes; ``main`` of the lane ``real`` is ``real.main``.
        lanes: The lanes' tables, without their databases.
        budget: ``[tool.slipstream.budget]``.
    """

    top: Table
    databases: dict[str, Table]
    lanes: dict[str, Table]
    budget: Table


def read(path: Path) -> Tables:
    """The tables of a ``pyproject.toml``; empty ones where there is none."""
    root = _document(path)
    databases = _databases(ROOT, root, database_key_problem)
    own = dict(databases)
    lanes = {}
    for name, value in as_table(f"{ROOT}.lanes", root.get("lanes", {})).items():
        key = f"{ROOT}.lanes.{name}"
        if problem := lane_key_problem(name):
            raise ConfigurationError(f"{key}: the name {name!r} {problem}")
        lane = as_table(key, value)
        lanes[name] = _given(key, lane, without=("databases",))
        said = _databases(key, lane, lambda name: unknown_problem(name, own))
        for database, table in own.items():
            databases[f"{name}.{database}"] = inherited(table, said.get(database, {}))
    budget = as_table(f"{ROOT}.budget", root.get("budget", {}))
    return Tables(
        _given(ROOT, root, without=("databases", "lanes", "budget")),
        databases,
        lanes,
        _given(f"{ROOT}.budget", budget),
    )


def inherited(database: Mapping[str, Given], lane: Mapping[str, Given]) -> Table:
    """A lane's table of a database, over the database's own.

    Where the lane changes what an option depends on, the product as a rule, the option's value is
    not for the lane. Entries of a table add up.
    """
    changed = {key for key in lane if key not in database or database[key].value != lane[key].value}
    whole = {
        option.name: database[option.name]
        for option in DATABASE_OPTIONS
        if option.name in database and changed.isdisjoint(_depends_on(option))
    }
    for key, given in lane.items():
        before = whole[key].value if key in whole else {}
        both = isinstance(before, dict) and isinstance(given.value, dict)
        whole[key] = Given(before | given.value, given.origin) if both else given
    return whole


def _depends_on(option: Option) -> Iterable[str]:
    return ("engine",) if option.name == "driver" else option.needs


def _document(path: Path) -> Mapping[str, Any]:
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
    return as_table(ROOT, tool.get("slipstream", {}) if isinstance(tool, dict) else {})


def as_table(name: str, value: object) -> Mapping[str, Any]:
    """``value``, if it is a table."""
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name} is {value!r}, and must be a table")
    return value


def _databases(
    prefix: str, table: Mapping[str, Any], problem_of: Callable[[str], str | None]
) -> dict[str, Table]:
    found = {}
    for name, value in as_table(f"{prefix}.databases", table.get("databases", {})).items():
        key = f"{prefix}.databases.{name}"
        if problem := problem_of(name):
            raise ConfigurationError(f"{key}: the name {name!r} {problem}")
        found[name] = _given(key, as_table(key, value))
    return found


def _given(prefix: str, table: Mapping[str, Any], without: Collection[str] = ()) -> Table:
    return {
        key: Given(value, f"{prefix}.{key}") for key, value in table.items() if key not in without
    }
