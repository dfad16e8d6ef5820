"""From ``pyproject.toml``, the environment and the command line to `Settings`.

The invariant: every value carries where it came from until it is decoded and judged, so that an
error names the key, the variable or the flag that the user wrote.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import file
from pytest_slipstream.settings.budget_model import BudgetSettings
from pytest_slipstream.settings.budget_verdicts import budget_problems
from pytest_slipstream.settings.database_model import DatabaseSettings
from pytest_slipstream.settings.embed_verdicts import embed_problems
from pytest_slipstream.settings.file import ROOT, Given, Table, as_table
from pytest_slipstream.settings.lane_verdicts import lane_problems
from pytest_slipstream.settings.model import LaneSettings, Settings
from pytest_slipstream.settings.options import (
    BUDGET_OPTIONS,
    DATABASE_OPTIONS,
    LANE_OPTIONS,
    OPTIONS,
    TOP_OPTIONS,
    Option,
)
from pytest_slipstream.settings.queue_verdicts import queue_problems
from pytest_slipstream.settings.verdicts import PRODUCTS, database_problems, shared

_SWITCHES = {"true": True, "1": True, "yes": True, "on": True} | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_NAMED = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)=(.*)", re.DOTALL)


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
    tables = file.read(rootpath / "pyproject.toml")
    for texts in (_of_environment(environ, bool(tables.databases)), _of_command_line(cli)):
        for option, origin, values in texts:
            if option.of_database:
                _overlay_databases(option, origin, values, tables.databases)
            else:
                _overlay(option, origin, values, tables.top)
    decoded = {name: _database(name, table) for name, table in tables.databases.items()}
    lanes = {name: _lane(name, table, decoded) for name, table in tables.lanes.items()}
    databases = {
        name: _standing(database, [lane.databases[name].engine for lane in lanes.values()])
        for name, database in _of_lane("", decoded).items()
    }
    settings = Settings(
        databases=databases,
        lanes=lanes,
        budget=_budget(tables.budget),
        **_decode(ROOT, tables.top, TOP_OPTIONS),
    )
    _judge(settings, tables.top)
    return settings


def _judge(settings: Settings, top: Table) -> None:
    """What only all tables together can tell."""
    for key, problem in lane_problems(settings):
        origin = top[key].origin if key in top else f"{ROOT}.{key}"
        hint = _did_you_mean(settings.lane, settings.every_lane) if key == "lane" else None
        raise ConfigurationError(f"{origin} {problem}", hint=hint)
    for key, problem in (*queue_problems(settings), *embed_problems(settings)):
        origin = top[key].origin if key in top else f"{ROOT}.{key}"
        raise ConfigurationError(f"{origin} {problem}")
    for lane, of_lane in settings.every_lane.items():
        if found := shared(of_lane.databases, lambda database: database.env):
            variable, *databases = found
            prefix = f"{ROOT}.lanes.{lane}" if lane in settings.lanes else ROOT
            first, second = (f"{prefix}.databases.{database}.env" for database in databases)
            raise ConfigurationError(
                f"environment variable {variable} is set by {first} and by {second}, and can hold "
                "only one of the two"
            )


Texts = Iterable[tuple[Option, str, list[str]]]


def _of_environment(environ: Mapping[str, str], configured: bool) -> Texts:
    """One value a line. Variables may be set for all projects: without a database they rest."""
    for option in OPTIONS:
        values = environ.get(option.environment, "").splitlines()
        if values and (configured or not (option.of_database or option.name == "lane")):
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

    The entries of a table add up, so there ``KEY=VALUE`` is for all of them. ``NAME`` stands for
    the database on every lane that can use the option, ``LANE.NAME`` for it on one lane.
    """
    named: dict[str, list[str]] = {}
    unnamed = []
    for value in values:
        names, text = _names_and_text(option, origin, value, databases)
        if not names:
            unnamed.append(text)
        for name in names:
            named.setdefault(name, []).append(text)
    if unnamed:
        # Every database can do without: one that is run on another engine must get rid of it.
        off = option.kind == "switch" and _SWITCHES.get(unnamed[-1].lower()) is False
        fitting = [name for name in databases if off or _fits(option, databases[name])]
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


def _names_and_text(
    option: Option, origin: str, value: str, databases: Mapping[str, Table]
) -> tuple[list[str], str]:
    found = _NAMED.match(value)
    if not found:
        return [], value
    name, text = found.groups()
    names = [known for known in databases if known == name or known.endswith(f".{name}")]
    if names and (option.kind != "table" or "=" in text):
        return [known for known in names if _fits(option, databases[known])] or names, text
    if option.kind == "table":
        return [], value
    raise ConfigurationError(
        f"{origin} is {_shown(value)}, but no database {name!r} is configured; "
        f"there are: {', '.join(databases) or 'none'}",
        hint=_did_you_mean(name, databases),
    )


def _fits(option: Option, table: Table) -> bool:
    wanted = option.needs.get("engine")
    engine = table.get("engine")
    return wanted is None or engine is None or engine.value in wanted


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
        value = {**as_table(option.name, before), **dict(_pair(origin, text) for text in texts)}
    table[option.name] = Given(value, origin)


def _pair(origin: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"{origin} is {text!r}, and must be KEY=VALUE")
    return key, value


def _of_lane(lane: str, databases: Mapping[str, DatabaseSettings]) -> dict[str, DatabaseSettings]:
    """The databases of a lane, by their own names; of the default lane where it is ``""``."""
    parts = ((*name.rpartition("."), database) for name, database in databases.items())
    return {name: database for of, _, name, database in parts if of == lane}


def _lane(name: str, table: Table, databases: Mapping[str, DatabaseSettings]) -> LaneSettings:
    values = _decode(f"{ROOT}.lanes.{name}", table, LANE_OPTIONS)
    return LaneSettings(databases=_of_lane(name, databases), **{"marker": name, **values})


def _budget(table: Table) -> BudgetSettings:
    budget = BudgetSettings(**_decode(f"{ROOT}.budget", table, BUDGET_OPTIONS))
    for key, problem in budget_problems(budget):
        raise ConfigurationError(f"{ROOT}.budget.{key} {problem}")
    return budget


def _standing(database: DatabaseSettings, engines: Iterable[str]) -> DatabaseSettings:
    """Strict SQLite stands for the engine of the other lanes, if they have one between them."""
    real = set(engines) - {"sqlite"}
    if database.strict and database.stands_for is None and len(real) == 1:
        return msgspec.structs.replace(database, stands_for=real.pop())
    return database


def _database(name: str, table: Table) -> DatabaseSettings:
    lane, dot, key = name.rpartition(".")
    prefix = f"{ROOT}.{f'lanes.{lane}.' if dot else ''}databases.{key}"
    settings = DatabaseSettings(**_decode(prefix, table, DATABASE_OPTIONS))
    for key, problem in database_problems(settings):
        option, dot, inner = key.partition(".")
        origin = table[option].origin if option in table else f"{prefix}.{option}"
        of = "" if origin.startswith(prefix) else f" for database {name!r}"
        hint = _driver_hint(settings) if option == "driver" else None
        raise ConfigurationError(f"{origin}{dot}{inner}{of} {problem}", hint=hint)
    return settings


def _driver_hint(settings: DatabaseSettings) -> str | None:
    """The driver, where the engine's name was written before it, as in a URL."""
    engine, _, driver = (settings.driver or "").partition("://")[0].partition("+")
    return f"write {driver!r}" if driver and PRODUCTS.get(engine) == settings.engine else None


def _decode(prefix: str, table: Table, options: tuple[Option, ...]) -> dict[str, Any]:
    valid = {option.name: option for option in options}
    for key in table:
        if key not in valid:
            raise ConfigurationError(
                f"{prefix}.{key} is not known in this version; valid keys: "
                f"{', '.join(sorted([*valid, *_tables_in(prefix)]))}",
                hint=_elsewhere(key, prefix) or _did_you_mean(key, [*valid, *_tables_in(prefix)]),
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
        word, near = given.value, option.choices
        if isinstance(value, dict):  # a table's name without its plural
            word, near = option.name, _tables_in(ROOT)
        raise ConfigurationError(
            f"{given.origin} is {_shown(given.value)}, and must be {option.expected}",
            hint=_did_you_mean(PRODUCTS.get(str(word), word), near),
        ) from error


def _shown(value: object) -> str:
    """A value as an error repeats it: without a URL's password."""
    return re.sub(r"(://[^:@/\s]*):[^@\s]*@", r"\1:***@", repr(value))


def _tables_in(prefix: str) -> tuple[str, ...]:
    if prefix == ROOT:
        return ("databases", "lanes", "budget")
    return () if ".databases." in prefix or prefix.endswith(".budget") else ("databases",)


def _elsewhere(key: str, prefix: str) -> str | None:
    """The key is valid in the other table."""
    if prefix == ROOT and key in {option.name for option in DATABASE_OPTIONS}:
        return f"{key!r} belongs to a database: [{ROOT}.databases.main]"
    if prefix != ROOT and key in {option.name for option in TOP_OPTIONS}:
        return f"{key!r} belongs to [{ROOT}]"
    return None


def _did_you_mean(word: object, valid: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(str(word), list(valid), n=1)
    return f"did you mean {near[0]!r}?" if near else None
