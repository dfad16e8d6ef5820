"""Whether decoded settings make sense: names, placeholders, options that would do nothing.

Pure. Each problem is a sentence's second half ("… has 25 characters and may have 20"), so that the
caller can put the name of the key or of the flag before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import TypeVar
from urllib.parse import urlsplit

from pytest_slipstream.settings.database_model import DatabaseSettings
from pytest_slipstream.settings.options import DATABASE_OPTIONS, Option

PLACEHOLDERS = ("url", "host", "port", "user", "password", "database", "socket_dir", "socket")
MAX_DATABASE_KEY = 20

_KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
_DRIVER = re.compile(r"\w*\Z")
_OF_SQLITE = ("url", "database")
_SCHEMES = {"postgresql": ("postgresql", "postgres"), "mysql": ("mysql", "mariadb")}
PRODUCTS = {"sqlite": "sqlite"} | {
    scheme: engine for engine, schemes in _SCHEMES.items() for scheme in schemes
}
"""Each name of a product, with its engine."""
# SQLAlchemy's own dialects; a third party's driver is none of these.
_DRIVERS = {
    "mysql": ("pymysql", "asyncmy", "aiomysql", "mysqldb", "mysqlconnector"),
    "postgresql": ("psycopg", "asyncpg", "psycopg2", "pg8000"),
    "sqlite": ("aiosqlite", "pysqlite"),
}
_T = TypeVar("_T")


def key_problem(key: str) -> str | None:
    """Why ``key`` cannot name anything, or None."""
    if not _KEY.match(key):
        return "must be a lower-case letter followed by lower-case letters, digits and '_'"
    return None


def database_key_problem(key: str) -> str | None:
    """Why ``key`` cannot name a database, or None."""
    if problem := key_problem(key):
        return problem
    if len(key) > MAX_DATABASE_KEY:
        return (
            f"has {len(key)} characters and may have {MAX_DATABASE_KEY}, because it is part of "
            "database names, which servers cut at 63 bytes"
        )
    return None


def database_problems(settings: DatabaseSettings) -> Iterable[tuple[str, str]]:
    """What is wrong with one database: pairs of the option's name and the problem."""
    for option in DATABASE_OPTIONS:
        if problem := _without_effect(option, settings):
            yield option.name, problem
    if problem := _server_problem(settings.server, settings.engine):
        yield "server", problem
    if problem := _driver_problem(settings.driver, settings.engine):
        yield "driver", problem
    for name, sources in (("schema", settings.schema), ("seed", settings.seed)):
        if any(not source.strip() for source in sources):
            yield name, "has an empty entry"
    for variable, template in settings.env.items():
        if problem := _env_problem(variable, template, settings.engine):
            yield f"env.{variable}", problem


def shared(
    owners: Mapping[str, _T], values: Callable[[_T], Iterable[str]]
) -> tuple[str, str, str] | None:
    """A value that two owners have, and their names; None when there is none."""
    seen: dict[str, str] = {}
    for owner, what in owners.items():
        for value in values(what):
            if value in seen:
                return value, seen[value], owner
            seen[value] = owner
    return None


def _without_effect(option: Option, settings: DatabaseSettings) -> str | None:
    if getattr(settings, option.name) == option.default:
        return None
    for name, needed in option.needs.items():
        if getattr(settings, name) not in needed:
            seen = "a URL" if name == "server" else _shown(getattr(settings, name))
            valid = " or ".join(map(_shown, needed))
            return f"has an effect only with {name} = {valid}, and {name} is {seen}"
    return None


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _server_problem(server: str, engine: str) -> str | None:
    if server == "embedded" or engine not in _SCHEMES:
        return None
    scheme = urlsplit(server).scheme if "://" in server else ""
    if not scheme:
        seen = "no URL (it has no '://')" if "@" in server else repr(server)
        return f"is {seen}, and must be 'embedded' or a URL such as '{engine}://user@host/'"
    if scheme.partition("+")[0] not in _SCHEMES[engine]:
        return f"is a URL that starts with '{scheme}://', and must start with '{engine}://'"
    return None


def _driver_problem(driver: str | None, engine: str) -> str | None:
    if driver is None:
        return None
    valid = f"for {engine} there are {', '.join(_DRIVERS[engine])}"
    others = [product for product in _DRIVERS if product != engine]
    product = next((one for one in others if driver in _DRIVERS[one]), None)
    if product is not None:
        return f"is {driver!r}, which is for {product}; {valid}"
    if driver in PRODUCTS or not _DRIVER.match(driver):
        return f"is {driver!r}, and must be the driver's name alone; {valid}"
    return None


def _env_problem(variable: str, template: str, engine: str) -> str | None:
    if not variable or "=" in variable or "\0" in variable + template:
        return "cannot be an environment variable"
    product = PRODUCTS.get(template.partition("://")[0].partition("+")[0])
    if product not in (None, engine) and "{" in template:
        return f"is {template!r}, a URL of {product}, and the engine is {engine!r}"
    valid = _OF_SQLITE if engine == "sqlite" else PLACEHOLDERS
    listed = ", ".join(f"{{{name}}}" for name in valid)
    try:
        fields = list(Formatter().parse(template))
    except ValueError:
        return (
            f"is {template!r}, which has a brace without its partner; the placeholders are "
            f"{listed}, and a brace itself is written twice"
        )
    for _, name, spec, conversion in fields:
        if name is not None and (name not in valid or spec or conversion):
            seen = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            return f"has the placeholder {{{seen}}}; with engine {engine!r} they are {listed}"
    return None
