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

from pytest_slipstream.settings.budget_model import BudgetSettings
from pytest_slipstream.settings.database_model import DatabaseSettings, Sources


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
    embed: Annotated[
        Sources,
        Meta(
            description="Without a change to the suite: move the connections of its drivers from "
            "the server that its own URL names to an embedded one, made for the run. `postgresql` "
            "or `mysql` (also MariaDB): the server that is connected to first; "
            "`postgresql://db:5432`: that one."
        ),
    ] = ()
    hashing: Annotated[
        Literal["full", "cheap"],
        Meta(
            description="Without a change to the suite: with `cheap`, bcrypt, argon2-cffi, "
            "passlib, pwdlib, werkzeug and Django hash passwords at their least cost while tests "
            "run."
        ),
    ] = "full"
    statements: Annotated[
        Literal["own", "shared"],
        Meta(
            description="Without a change to the suite: with `shared`, engines of SQLAlchemy whose "
            "dialects are alike share the statements that they have compiled, as if they were one "
            "engine. For suites that make an engine for each test."
        ),
    ] = "own"
    notice: Annotated[
        bool,
        Meta(
            description="Where neither `memoize` nor `hashing` is set: say in one line what they "
            "would save, if a tenth of the run and a second went there."
        ),
    ] = True
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
    report: Annotated[
        Sources,
        Meta(
            description="Write reports of the run, relative to pytest's rootdir: `FILE.html` "
            "(extra `report`), `FILE.json` (a trace for Perfetto), `FILE.md`, or `github` for "
            "GitHub's summary and annotations."
        ),
    ] = ()
    detail: Annotated[
        bool,
        Meta(
            description="Record the statements of each test by their text, and where in the "
            "project's code it waited, and show the slowest."
        ),
    ] = False
    past_runs: Annotated[
        int,
        Meta(
            ge=0,
            description="How many runs are kept, small, in `.slipstream/past` for "
            "`slipstream report --trend`; 0 for none.",
        ),
    ] = 200
    budget: Annotated[BudgetSettings, Meta(description="What the run and its tests may take.")] = (
        BudgetSettings()
    )
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
        return self.memoize or self.hashing == "cheap" or self.statements == "shared"

    @property
    def notices(self) -> bool:
        """Whether it is measured what `speeds_up_unchanged` would save."""
        return self.notice and not self.speeds_up_unchanged

    @property
    def shares_build(self) -> bool:
        """Whether other machines run other tests of the build."""
        return self.shard is not None or self.queue is not None

    @property
    def needs_run(self) -> bool:
        """Whether there is anything to do before the first test."""
        by_itself = self.concurrency or self.shares_build or self.speeds_up_unchanged or self.embed
        if self.report or self.detail or self.budget != BudgetSettings():
            return True
        return bool(self.databases or self.workers or self.records_durations or by_itself)
