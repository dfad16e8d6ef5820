"""Every option once: the file, the environment, the command line and the reference page are all
made from the structs below.

A field's description is its documentation. ``extra`` names the settings of the same database that
the option needs, each with its valid values; with others, a value is an error, because it would do
nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

EngineName = Literal["sqlite", "postgresql", "mysql"]
IsolationName = Literal["reset", "rollback", "clone", "none"]
Sources = tuple[str, ...]
"""In a file, one text stands for a list of one."""

_SQLITE = {"engine": ("sqlite",)}
_STRICT = {**_SQLITE, "strict": (True,)}
_SERVER = {"engine": ("postgresql", "mysql")}
_EMBEDDED = {**_SERVER, "server": ("embedded",)}
_POSTGRESQL = {"engine": ("postgresql",)}
_EMBEDDED_POSTGRESQL = {**_POSTGRESQL, "server": ("embedded",)}


class DatabaseSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One database: a table ``[tool.slipstream.databases.<name>]``."""

    engine: Annotated[
        EngineName, Meta(description="The database product; `mysql` is MySQL and MariaDB.")
    ]
    server: Annotated[
        str,
        Meta(
            description="`embedded` (slipstream starts and stops it) or the URL of a running "
            "server. SQLite has no server.",
            extra=_SERVER,
        ),
    ] = "embedded"
    schema: Annotated[
        Sources,
        Meta(
            description="What makes the schema: `module:object` (SQLAlchemy MetaData, a SQLModel "
            "or declarative base, Peewee models or their base class, a list of those, or a "
            "callable that takes the URL, sync or async), `module:*` (the Peewee models of a "
            "module), an Alembic ini file, a `.sql` file or a directory of them; several in order."
        ),
    ] = ()
    seed: Annotated[
        Sources,
        Meta(
            description="What fills the template once: `module:callable` that takes the URL (sync "
            "or async: the URL's driver is of the same kind, unless it is empty), a `.sql` file or "
            "a directory of them; several in order."
        ),
    ] = ()
    isolation: Annotated[
        IsolationName, Meta(description="How a slot is clean again for the next test.")
    ] = "reset"
    driver: Annotated[
        str | None,
        Meta(
            description="The SQLAlchemy driver in `{url}` and in the `db_engine` fixtures, for "
            "example `asyncpg`, `psycopg`, `aiosqlite`, `asyncmy`. Without it: `psycopg`, "
            "`pymysql`, or plain `sqlite`."
        ),
    ] = None
    env: Annotated[
        dict[str, str],
        Meta(
            description="Environment variables set before your code is imported, with "
            "placeholders such as `{url}`."
        ),
    ] = {}
    tests: Annotated[
        Literal["all", "marked"],
        Meta(
            description="Which tests own a slot: `all`, or only those that are `marked` with "
            "`@pytest.mark.db` or use a slipstream fixture."
        ),
    ] = "all"
    memory: Annotated[
        bool,
        Meta(
            description="SQLite: keep the slot in memory, with one connection that all share.",
            extra=_SQLITE,
        ),
    ] = False
    strict: Annotated[
        bool,
        Meta(
            description="SQLite: enforce foreign keys, and refuse values that a real engine would "
            "refuse: of the wrong type, too long, out of range, no date.",
            extra=_SQLITE,
        ),
    ] = False
    stands_for: Annotated[
        Literal["postgresql", "mysql"] | None,
        Meta(
            description="Strict SQLite: the engine of production, where the real ones differ; with "
            "`mysql`, text is compared without regard to case. Without it, the engine that the "
            "other lanes have for this database.",
            extra=_STRICT,
        ),
    ] = None
    tcp: Annotated[
        bool,
        Meta(
            description="Embedded server: listen on 127.0.0.1 too, with a password, for clients "
            "that cannot use a unix socket.",
            extra=_EMBEDDED,
        ),
    ] = False
    extensions: Annotated[
        tuple[str, ...],
        Meta(
            description="PostgreSQL: extensions created in the template before the schema.",
            extra=_POSTGRESQL,
        ),
    ] = ()
    locale: Annotated[
        str,
        Meta(
            description="Embedded PostgreSQL: the cluster's locale (the encoding is UTF8).",
            extra=_EMBEDDED_POSTGRESQL,
        ),
    ] = "C.UTF-8"
    server_options: Annotated[
        dict[str, str],
        Meta(
            description="Embedded server: further settings, such as `{ max_connections = '400' }`.",
            extra=_EMBEDDED,
        ),
    ] = {}
    fingerprint: Annotated[
        tuple[str, ...],
        Meta(
            description="Further files (glob patterns) on which the template depends and which "
            "slipstream cannot see by following imports."
        ),
    ] = ()
    keep_templates: Annotated[
        int,
        Meta(
            ge=1,
            description="How many templates of databases with this name stay on the server, those "
            "of other projects included.",
        ),
    ] = 16
    allow_remote: Annotated[
        bool,
        Meta(description="Allow a server URL whose host is not this machine.", extra=_SERVER),
    ] = False


class LaneSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One lane: a table ``[tool.slipstream.lanes.<name>]``, with all its databases resolved."""

    databases: Annotated[
        dict[str, DatabaseSettings],
        Meta(description="The databases of the lane's tests, by name."),
    ]
    marker: Annotated[
        str,
        Meta(description="The marker of the lane's tests; without it, the lane's own name."),
    ] = ""
    paths: Annotated[
        Sources,
        Meta(
            description="Patterns of test files, relative to pytest's rootdir, whose tests are on "
            "this lane unless a marker says otherwise. `*` stands for any characters, `/` among "
            "them; a directory stands for all below it."
        ),
    ] = ()


class Settings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The table ``[tool.slipstream]``."""

    databases: Annotated[
        dict[str, DatabaseSettings], Meta(description="The databases, by name.")
    ] = {}
    concurrency: Annotated[
        int,
        Meta(
            ge=0,
            description="How many asynchronous tests may be in flight together. With 0, only tests "
            "marked `concurrent` are, up to 16.",
        ),
    ] = 0
    groups: Annotated[
        dict[str, Annotated[int, Meta(ge=1)]],
        Meta(
            description="How many tests of a group, `@pytest.mark.concurrent(group=…)`, may be in "
            "flight together; a group that is not named here has 1."
        ),
    ] = {}
    timeout: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds that set-up, call and teardown of an asynchronous test may each "
            "take while the run loop runs it; 0 means no limit.",
        ),
    ] = 0
    process_wide_fixtures: Annotated[
        Sources,
        Meta(
            description="Fixtures that change the whole process, besides `monkeypatch`, `mocker` "
            "and their like: a test that uses one is never in flight with others."
        ),
    ] = ()
    workers: Annotated[
        Annotated[int, Meta(ge=1)] | Literal["auto"] | None,
        Meta(
            description="Run the tests on so many worker processes, which share what was imported "
            "and collected once; `auto` takes the number that is predicted to be fastest, which "
            "may be none."
        ),
    ] = None
    workers_start: Annotated[
        Literal["fork", "spawn"] | None,
        Meta(
            description="How workers begin: `fork` copies the process that has collected the "
            "tests, with `spawn` each collects them for itself. Without a value: `fork`, where "
            "that is safe."
        ),
    ] = None
    lanes: Annotated[
        dict[str, LaneSettings],
        Meta(description="The lanes beside the default lane, by name."),
    ] = {}
    lane: Annotated[
        str,
        Meta(description="Run the tests of this lane only; `all` for those of every lane."),
    ] = "all"
    default_lane: Annotated[
        str,
        Meta(
            description="What the lane of all other tests is called: the one of the databases as "
            "they stand in `[tool.slipstream.databases]`."
        ),
    ] = "fast"
    audit: Annotated[
        bool,
        Meta(
            description="After every test compare its slot with the template, row by row and "
            "object by object, and fail a test whose trace cleaning did not undo."
        ),
    ] = False
    keep: Annotated[
        bool, Meta(description="Keep the database of every failed test and print how to open it.")
    ] = False
    seed_factories: Annotated[
        bool,
        Meta(
            description="Seed `random`, Faker, factory_boy and polyfactory for every test from its "
            "node id, so that it always gets the same data."
        ),
    ] = True
    memoize: Annotated[
        bool,
        Meta(
            description="Without a change to the suite: do its schema work once, such as "
            "SQLAlchemy's `create_all` and `drop_all` for each test, and restore what it came to."
        ),
    ] = False
    hashing: Annotated[
        Literal["full", "cheap"],
        Meta(
            description="Without a change to the suite: with `cheap`, bcrypt, argon2-cffi, "
            "passlib, pwdlib, werkzeug and Django hash passwords at their least cost while tests "
            "run."
        ),
    ] = "full"
    cache_dir: Annotated[
        str | None,
        Meta(
            description="Where servers and templates are kept between runs; without it, a "
            "directory of the user's cache, or as root `/var/cache/pytest-slipstream`."
        ),
    ] = None
    durations: Annotated[
        bool | None,
        Meta(
            description="Record what tests and wider fixtures take, for the runs that follow. "
            "Without a value: where a database is configured, and with workers."
        ),
    ] = None
    durations_file: Annotated[
        str, Meta(description="The duration history, relative to pytest's rootdir.")
    ] = ".slipstream/durations.json"
    shard: Annotated[
        str | None,
        Meta(
            description="Run one shard of the suite: `2/8` is the second of eight; `auto` asks "
            "the CI service's variables."
        ),
    ] = None
    queue: Annotated[
        str | None,
        Meta(
            description="Pull tests from a live queue that other machines pull from as well: the "
            "URL of a Redis or Valkey server."
        ),
    ] = None
    build: Annotated[
        str | None,
        Meta(
            description="With a queue: the id of the build, the same on all its machines. Without "
            "it, the CI service's variables are asked."
        ),
    ] = None
    machine: Annotated[
        str | None,
        Meta(
            description="With a queue: the name of this machine, the same when its CI job is run "
            "again. Without it, the CI service's variables are asked."
        ),
    ] = None
    lease: Annotated[
        int,
        Meta(
            ge=2,
            description="With a queue: after so many seconds of silence a machine is lost, and "
            "others run its tests. The first machine of a build decides.",
        ),
    ] = 30
    requeues: Annotated[
        int,
        Meta(
            ge=0,
            description="With a queue: how often a test that failed is run again on another "
            "machine; if it passes there, it is reported as flaky. The first machine of a build "
            "decides.",
        ),
    ] = 0
    summary: Annotated[
        bool, Meta(description="Print the block of databases, strategies and costs at the end.")
    ] = True

    @property
    def every_lane(self) -> dict[str, LaneSettings]:
        """The default lane and those beside it, by name."""
        default = LaneSettings(marker=self.default_lane, databases=self.databases)
        return {self.default_lane: default, **self.lanes}

    @property
    def lanes_to_run(self) -> dict[str, LaneSettings]:
        """The lanes whose tests are run; the first is the one that modules are imported on."""
        every = self.every_lane
        return every if self.lane == "all" else {self.lane: every[self.lane]}

    @property
    def every_database(self) -> dict[str, DatabaseSettings]:
        """The databases of all lanes; ``main`` of the lane ``real`` is called ``real.main``."""
        beside = {
            f"{lane}.{key}": database
            for lane, settings in self.lanes.items()
            for key, database in settings.databases.items()
        }
        return self.databases | beside

    @property
    def records_durations(self) -> bool:
        """Whether this run adds to the duration history."""
        return bool(self.databases or self.workers) if self.durations is None else self.durations

    @property
    def speeds_up_unchanged(self) -> bool:
        """Whether calls of libraries are stood in for, with databases configured or without."""
        return self.memoize or self.hashing == "cheap"

    @property
    def shares_build(self) -> bool:
        """Whether other machines run other tests of the build."""
        return self.shard is not None or self.queue is not None

    @property
    def needs_run(self) -> bool:
        """Whether there is anything to do before the first test."""
        by_itself = self.concurrency or self.shares_build or self.speeds_up_unchanged
        return bool(self.databases or self.workers or by_itself)
