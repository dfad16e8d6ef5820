"""From what was found to a ``[tool.slipstream]`` table: pure decisions, each with its reason.

The invariant: what is written was found, or chosen by the user; what could not be told is said,
with the choices.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pytest_slipstream.cli.discovery import fixtures, peewee_tables, tables, variables
from pytest_slipstream.cli.discovery.fixtures import Superfluous
from pytest_slipstream.cli.discovery.project import Place, Project
from pytest_slipstream.cli.discovery.tables import Schema
from pytest_slipstream.cli.discovery.variables import Url, Variable

ENGINES = ("postgresql", "mysql", "sqlite")
_DEFAULT_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "sqlite": ""}
_DRIVER_PACKAGES = {
    "postgresql": (("asyncpg", "asyncpg"), ("psycopg", "psycopg"), ("psycopg2", "psycopg2")),
    "mysql": (
        ("pymysql", "pymysql"),
        ("asyncmy", "asyncmy"),
        ("aiomysql", "aiomysql"),
        ("mysqlclient", "mysqldb"),
        ("MySQLdb", "mysqldb"),
    ),
    "sqlite": (("aiosqlite", "aiosqlite"),),
}
_TITLES = {"postgresql": "PostgreSQL", "mysql": "MySQL"}
_FRAMEWORKS = {
    "fastapi": "FastAPI",
    "starlette": "Starlette",
    "flask": "Flask",
    "flask_sqlalchemy": "Flask-SQLAlchemy",
    "peewee": "Peewee",
    "litestar": "Litestar",
    "django": "Django",
}


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that was read from a project."""

    frameworks: tuple[str, ...]
    drivers: frozenset[str]
    schemas: tuple[Schema, ...]
    schema_files: tuple[str, ...]
    variables: tuple[Variable, ...]
    urls: tuple[Url, ...]
    superfluous: tuple[Superfluous, ...]


class Reason(msgspec.Struct, frozen=True):
    """A decision, and where what it rests on stands."""

    what: str
    value: str
    why: str


class Open(msgspec.Struct, frozen=True):
    """What could not be told: the option that decides it, and the choices."""

    option: str
    problem: str
    choices: tuple[str, ...]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration. With something in ``open``, ``table`` is not complete.

    ``schema`` is "" where it could not be told. ``unreached`` says why, with this configuration,
    the application would reach another server than slipstream's; None if it would not.
    """

    table: str
    schema: str
    unreached: str | None
    reasons: tuple[Reason, ...]
    open: tuple[Open, ...]
    notes: tuple[str, ...]


def look(project: Project) -> Findings:
    """Read everything."""
    return Findings(
        frameworks=tuple(name for package, name in _FRAMEWORKS.items() if project.imports(package)),
        drivers=frozenset(
            package
            for drivers in _DRIVER_PACKAGES.values()
            for package, _ in drivers
            if project.imports(package)
        ),
        schemas=(*tables.find(project), *peewee_tables.find(project)),
        schema_files=project.schema_files,
        variables=tuple(variables.find(project)),
        urls=tuple(variables.find_urls(project)),
        superfluous=tuple(fixtures.find(project)),
    )


def propose(
    findings: Findings, *, engine: str | None = None, schema: str | None = None
) -> Proposal:
    """Decide.

    Args:
        findings: What `look` found.
        engine: The user's choice, where it could not be told.
        schema: Likewise.
    """
    product, driver, why = _engine(findings, engine)
    source, source_why = _schema(findings, schema)
    is_peewee = any(one.text == source and one.library == "peewee" for one in findings.schemas)
    if is_peewee:
        driver = ""  # Peewee chooses its driver itself, and its URLs name none
    undecided = []
    if product is None:
        undecided.append(Open("--engine", why, ENGINES))
    if source is None:
        choices = (*findings.schema_files, *(one.text for one in findings.schemas))
        undecided.append(Open("--schema", source_why, choices))
    reasons = [Reason("framework", name, "") for name in findings.frameworks]
    if product is not None:
        reasons.append(Reason("engine", f"{product} {driver}".strip(), why))
    if source is not None:
        reasons.append(Reason("schema", source, source_why))
    chosen = _variables(findings)
    reasons += [Reason("variable", one.name, str(one.place)) for one in chosen]
    named = driver if is_peewee else driver or _DEFAULT_DRIVERS.get(product or "", "")
    lines = list(_lines(product or "", named, source or "", chosen))
    return Proposal(
        table="\n".join(lines) + "\n",
        schema=source or "",
        unreached=_unreached(chosen) if product in _TITLES else None,
        reasons=tuple(reasons),
        open=tuple(undecided),
        notes=tuple(_notes(findings, product, chosen, schema or source)),
    )


def _engine(findings: Findings, chosen: str | None) -> tuple[str | None, str, str]:
    """Product, SQLAlchemy's driver, and why; or None, "" and what speaks against a decision."""
    evidence = [(parsed, one.place) for one in findings.variables if (parsed := _parsed(one))]
    evidence += [((u.engine, u.driver), u.place) for u in findings.urls if not u.in_test]
    evidence = evidence or [((u.engine, u.driver), u.place) for u in findings.urls]
    if not evidence:
        for product, drivers in _DRIVER_PACKAGES.items():
            for package, driver in drivers:
                if package in findings.drivers and chosen in (None, product):
                    return product, driver, f"the project uses {package}"
    products = sorted({product for (product, _), _ in evidence})
    if chosen is None and len(products) == 1 and evidence:
        chosen = products[0]
    if chosen is None:
        places = ", ".join(f"{product} ({place})" for (product, _), place in evidence)
        return (
            None,
            "",
            f"its URLs name several products: {places}" if places else "no URL names one",
        )
    fitting = [(driver, place) for (product, driver), place in evidence if product == chosen]
    if not fitting:
        return chosen, _required_driver(findings, chosen), "chosen"
    driver, place = fitting[0]
    return chosen, driver or _required_driver(findings, chosen), str(place)


def _parsed(variable: Variable) -> tuple[str, str] | None:
    return variables.parse_url(variable.default)


def _required_driver(findings: Findings, product: str) -> str:
    """For a URL that names no driver: SQLAlchemy takes psycopg2 or mysqlclient if installed."""
    order = ("psycopg2", "psycopg", "asyncpg", "mysqldb", "pymysql", "asyncmy", "aiomysql")
    drivers = [
        driver for package, driver in _DRIVER_PACKAGES[product] if package in findings.drivers
    ]
    if product == "sqlite":
        return ""
    return min(drivers, key=order.index, default="")


def _schema(findings: Findings, chosen: str | None) -> tuple[str | None, str]:
    """The source of the schema: what the tests use today, before what else there is."""
    if chosen is not None:
        return chosen, "chosen"
    creates = any("creates the tables" in one.does for one in findings.superfluous)
    if findings.schema_files and not (creates and findings.schemas):
        if len(findings.schema_files) == 1:
            return findings.schema_files[0], f"{findings.schema_files[0]}:1"
        return None, "there are several"
    whole = [one for one in findings.schemas if not one.missed]
    if len(findings.schemas) == 1:
        only = findings.schemas[0]
        return only.text, f"{only.place}, {only.tables} tables"
    if not findings.schemas:
        return None, (
            "no MetaData and no Peewee models with tables, no alembic.ini and no schema.sql "
            "was found"
        )
    if len(whole) == len(findings.schemas):
        return None, "several objects have tables; name one, or write a list of them"
    return None, "several objects have tables"


def _variables(findings: Findings) -> list[Variable]:
    """URL variables; their parts only where there is no URL."""
    urls = [one for one in findings.variables if one.placeholder == "url"]
    return urls or [one for one in findings.variables if one.placeholder != "url"]


def _unreached(chosen: list[Variable]) -> str | None:
    """What is missing where parts of a URL are read: the rest of it stands in the code."""
    found = {one.placeholder: one for one in chosen}
    for place, other in (("host", "port"), ("port", "host")):
        if place in found and other not in found:
            one = found[place]
            return (
                f"the application reads {one.name} ({one.place}) and no variable with the "
                f"database's {other}, so it would reach another server than slipstream's"
            )
    return None


def _lines(product: str, driver: str, schema: str, chosen: list[Variable]) -> Iterator[str]:
    yield "[tool.slipstream.databases.main]"
    yield f'engine = "{product}"'
    yield f'schema = "{schema}"'
    if driver != _DEFAULT_DRIVERS.get(product):
        yield f'driver = "{driver}"'
    if product != "sqlite" and any(one.placeholder == "host" for one in chosen):
        # A host name and a port are wanted, so a socket's directory would not do.
        yield "tcp = true"
    if chosen:
        yield f"env = {{ {', '.join(_setting(one, product, driver) for one in chosen)} }}"


def _setting(variable: Variable, product: str, driver: str) -> str:
    if variable.placeholder != "url":
        return f'{variable.name} = "{{{variable.placeholder}}}"'
    parsed = _parsed(variable)
    if parsed is None or parsed[0] != product or parsed[1] in ("", driver):
        return f'{variable.name} = "{{url}}"'
    if product == "sqlite":
        return f'{variable.name} = "sqlite+{parsed[1]}:///{{database}}"'
    socket = "host={socket_dir}" if product == "postgresql" else "unix_socket={socket}"
    return f'{variable.name} = "{product}+{parsed[1]}://{{user}}@/{{database}}?{socket}"'


def _notes(
    findings: Findings, product: str | None, chosen: list[Variable], schema: str | None
) -> Iterator[str]:
    """What a user has to know or to look at."""
    if "Django" in findings.frameworks:
        yield "Django brings test databases of its own, which slipstream does not replace"
    for one in findings.schemas:
        if one.text == schema and one.missed:
            yield (
                f"importing {one.text.partition(':')[0]} does not import {', '.join(one.missed)}: "
                "import those modules there, or name a module that does"
            )
    if not chosen:
        written: list[Place] = [url.place for url in findings.urls if not url.in_test]
        where = f": it is written out at {', '.join(map(str, written))}" if written else ""
        yield (
            f"no environment variable with the database's URL was found{where}; read it from one "
            'and add it as env = { DATABASE_URL = "{url}" }, or use the fixture db_url'
        )
    tested = {url.engine for url in findings.urls if url.in_test}
    if product in _TITLES and "sqlite" in tested:
        yield f"the tests use SQLite today; with this configuration they use {_TITLES[product]}"
