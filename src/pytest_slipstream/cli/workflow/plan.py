"""What a workflow needs, told from the project's files and settings, as a value for the templates.

The invariant: nothing is asked of a server or of the network, and nothing of the user's is run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from pytest_slipstream.settings import DatabaseSettings, LaneSettings, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Provider = Literal["github", "gitlab"]

_GROUPS = ("test", "tests", "testing", "dev")
_REQUIREMENTS = (
    "requirements-test.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "test-requirements.txt",
    "requirements.txt",
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Service(msgspec.Struct, frozen=True):
    """A container with a database server."""

    name: str
    image: str
    environment: tuple[tuple[str, str], ...]
    health: str
    port: int
    published: int
    account: str
    scheme: str
    database: str

    def url(self, host: str | None) -> str:
        """How slipstream reaches it: by its published port on a host, or by its name."""
        place = f"{host}:{self.published}" if host else f"{self.name}:{self.port}"
        return f"{self.scheme}://{self.account}@{place}/{self.database}"


class Lane(msgspec.Struct, frozen=True):
    """One job, or one matrix of jobs.

    Args:
        name: Of the lane.
        arguments: For pytest.
        shards: How many; 0 for a job that is not sharded.
        services: Containers, each with the databases that it is the server of.
        packages: Of Debian, for embedded servers.
        sources: Patterns of the files that SQLite templates are made from.
        sqlite_only: Whether no database has a server.
    """

    name: str
    arguments: tuple[str, ...]
    shards: int = 0
    services: tuple[tuple[Service, tuple[str, ...]], ...] = ()
    packages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    sqlite_only: bool = False

    def servers(self, host: str | None) -> str:
        """The value of ``SLIPSTREAM_SERVER``: one database a line.

        Args:
            host: Of all containers; None where each is reached by its name.
        """
        return "\n".join(
            f"{database}={service.url(host)}"
            for service, databases in self.services
            for database in databases
        )


class Workflow(msgspec.Struct, frozen=True):
    """All that a template asks."""

    lanes: tuple[Lane, ...]
    python: str
    install: tuple[str, ...]
    depends_on: str
    runner: str
    durations_file: str
    durations_in_git: bool
    allure: bool
    templates: str


def plan(
    directory: Path, settings: Settings, *, shards: int, python: str, services: bool
) -> Workflow:
    """What the project needs.

    Args:
        directory: The project's.
        settings: Its own.
        shards: How many machines share the default lane.
        python: The version that jobs run.
        services: Whether databases run in containers that the file would embed.
    """
    install, depends_on, runner = _tooling(directory, settings)
    return Workflow(
        lanes=tuple(
            _lane(name, lane, settings, shards if name == settings.default_lane else 0, services)
            for name, lane in settings.every_lane.items()
        ),
        python=python,
        install=install,
        depends_on=depends_on,
        runner=runner,
        durations_file=settings.durations_file,
        durations_in_git=_in_git(directory, settings.durations_file),
        allure=find_spec("allure_pytest") is not None,
        templates=f"{settings.cache_dir or '~/.cache/pytest-slipstream'}/sqlite/templates",
    )


def without(workflow: Workflow, blocks: Collection[str]) -> Workflow:
    """A workflow without the jobs whose blocks the user deleted; nothing then waits for them."""
    return msgspec.structs.replace(
        workflow,
        lanes=tuple(lane for lane in workflow.lanes if f"lane-{lane.name}" not in blocks),
        durations_in_git=workflow.durations_in_git or "durations" in blocks,
    )


def _lane(name: str, lane: LaneSettings, settings: Settings, shards: int, services: bool) -> Lane:
    arguments: tuple[str, ...] = (f"--lane {name}",) if settings.lanes else ()
    if not settings.records_durations:
        arguments += ("--slipstream-durations",)
    contained: dict[Service, list[str]] = {}
    for key, database in lane.databases.items():
        if found := _service(database, services):
            contained.setdefault(found, []).append(key)
    embedded = {
        database.engine
        for database in lane.databases.values()
        if database.server == "embedded" and not services
    }
    return Lane(
        name=name,
        arguments=arguments,
        shards=shards,
        services=tuple((service, tuple(keys)) for service, keys in contained.items()),
        packages=("mariadb-server-core",) if "mysql" in embedded else (),
        sources=tuple(dict.fromkeys(_sources(lane.databases))),
        sqlite_only=all(database.engine == "sqlite" for database in lane.databases.values()),
    )


def _sources(databases: Mapping[str, DatabaseSettings]) -> Iterator[str]:
    """Patterns for what SQLite's templates are made from; slipstream itself knows exactly."""
    for database in databases.values():
        for source in (*database.schema, *database.seed) if database.engine == "sqlite" else ():
            module, colon, _ = source.partition(":")
            top = module.partition(".")[0]
            yield from (f"**/{top}/**/*.py", f"**/{top}.py") if colon else (source, f"{source}/**")


def _service(database: DatabaseSettings, wanted: bool) -> Service | None:
    """The container for a database: of its URL, if that leads to the job's own machine."""
    if database.engine == "sqlite":
        return None
    if database.server == "embedded":
        return _container(database.engine, {}) if wanted else None
    url = urlsplit(database.server)
    if url.hostname not in _LOOPBACK:
        return None
    given = {
        "scheme": url.scheme, "user": url.username, "password": url.password,
        "port": url.port, "database": url.path.strip("/"),
    }  # fmt: skip
    return _container(database.engine, {key: value for key, value in given.items() if value})


def _container(engine: str, given: Mapping[str, Any]) -> Service:
    scheme = given.get("scheme", engine)
    password = given.get("password", "slipstream")
    if engine == "postgresql":
        user = given.get("user", "postgres")
        return Service(
            name="postgres",
            image="postgres:17",
            environment=(("POSTGRES_USER", user), ("POSTGRES_PASSWORD", password)),
            health="pg_isready",
            port=5432,
            published=given.get("port", 5432),
            account=f"{user}:{password}",
            scheme=scheme,
            database=given.get("database", "postgres"),
        )
    return Service(
        name="mariadb",
        image="mariadb:10.11",
        environment=(("MARIADB_ROOT_PASSWORD", password),),
        health="healthcheck.sh --connect --innodb_initialized",
        port=3306,
        published=given.get("port", 3306),
        account=f"root:{password}",
        scheme=scheme,
        database=given.get("database", "mysql"),
    )


def _tooling(directory: Path, settings: Settings) -> tuple[tuple[str, ...], str, str]:
    """How the project is installed, the file that says so, and what stands before a command."""
    file = directory / "pyproject.toml"
    declared = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
    if (directory / "uv.lock").exists():
        return ("pip install uv", "uv sync --all-extras --all-groups"), "uv.lock", "uv run "
    groups = declared.get("dependency-groups", {})
    extras = declared.get("project", {}).get("optional-dependencies", {})
    own = _missing(directory, settings)
    if group := next((name for name in _GROUPS if name in groups), None):
        lines = ("pip install --upgrade pip", f"pip install -e . --group {group}", *own)
        return lines, "pyproject.toml", ""
    if extra := next((name for name in _GROUPS if name in extras), None):
        return (f'pip install -e ".[{extra}]"', *own), "pyproject.toml", ""
    if found := next((name for name in _REQUIREMENTS if (directory / name).exists()), None):
        return (f"pip install -r {found}", *own), found, ""
    lines = ("pip install -e .",) if "project" in declared else ()
    return (*lines, *own), "pyproject.toml", ""


def _missing(directory: Path, settings: Settings) -> Sequence[str]:
    """Installs slipstream where the project's own files do not mention it."""
    files = [directory / "pyproject.toml", *directory.glob("*requirements*.txt")]
    texts = [file.read_text("utf-8") for file in files if file.exists()]
    if any("pytest-slipstream" in text for text in texts):
        return ()
    engines = {database.engine for database in settings.every_database.values()}
    extras = ",".join(sorted(engines - {"sqlite"}))
    name = f'"pytest-slipstream[{extras}]"' if extras else "pytest-slipstream"
    return (f"pip install {name}",)


def _in_git(directory: Path, file: str) -> bool:
    """Whether a file is in the repository."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "--error-unmatch", file],
            cwd=directory,
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
