"""Lanes: what they take over, what they change, and what of them is refused."""

from __future__ import annotations

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings, Settings

FAST = """
[tool.slipstream.databases.main]
engine = "sqlite"
schema = "schema.sql"
memory = true
driver = "aiosqlite"
env = { DATABASE_URL = "{url}", POOL = "1" }
"""
REAL = """
[tool.slipstream.lanes.real]
databases.main.engine = "postgresql"
"""


def test_without_lanes_there_is_the_default_lane(project):
    settings = project(FAST)
    assert list(settings.every_lane) == list(settings.lanes_to_run) == ["fast"]
    assert settings.every_lane["fast"].databases == settings.databases


def test_a_lane_takes_over_what_it_does_not_change_save_for_what_is_of_the_product(project):
    settings = project(
        FAST
        + """
        [tool.slipstream.lanes.real]
        databases.main = { engine = "postgresql", driver = "asyncpg", env = { POOL = "5" } }
        marker = "e2e"
        paths = ["tests/e2e/*"]
        """
    )
    real = settings.lanes["real"]
    assert (real.marker, real.paths) == ("e2e", ("tests/e2e/*",))
    assert real.databases["main"] == DatabaseSettings(
        engine="postgresql",
        schema=("schema.sql",),
        driver="asyncpg",
        env={"DATABASE_URL": "{url}", "POOL": "5"},
    )
    assert settings.databases["main"].env["POOL"] == "1"


def test_strict_sqlite_stands_for_the_engine_of_the_other_lanes(project):
    strict = f"{FAST}strict = true\n"
    other = REAL.replace("real", "other").replace("postgresql", "mysql")
    assert project(strict).databases["main"].stands_for is None
    assert project(strict + REAL).databases["main"].stands_for == "postgresql"
    assert project(strict + other).databases["main"].stands_for == "mysql"
    assert project(strict + REAL + other).databases["main"].stands_for is None
    named = f'{strict}stands_for = "mysql"\n{REAL}'
    assert project(named).databases["main"].stands_for == "mysql"
    assert project(FAST + REAL).databases["main"].stands_for is None


def test_a_lane_of_the_same_product_takes_over_all(project):
    settings = project(FAST + '[tool.slipstream.lanes.real]\ndatabases.main.isolation = "clone"')
    lane, default = settings.lanes["real"].databases["main"], settings.databases["main"]
    assert (lane.memory, lane.driver, lane.isolation) == (True, "aiosqlite", "clone")
    assert default.isolation == "reset"


def test_a_lane_on_an_external_server_leaves_what_is_of_the_embedded_one(project):
    settings = project(
        '[tool.slipstream.databases.main]\nengine = "postgresql"\ntcp = true\nextensions = "vector"'
        '\n[tool.slipstream.lanes.real]\ndatabases.main.server = "postgresql://localhost/"'
    )
    lane = settings.lanes["real"].databases["main"]
    assert (lane.tcp, lane.extensions) == (False, ("vector",))


def test_a_lane_has_the_databases_that_it_does_not_mention(project):
    settings = project(FAST + REAL + '[tool.slipstream.databases.audit]\nengine = "sqlite"')
    assert settings.lanes["real"].databases["audit"] == settings.databases["audit"]
    assert list(settings.every_database) == ["main", "audit", "real.main", "real.audit"]


def test_its_name_is_its_marker_unless_it_says_otherwise(project):
    assert project(FAST + REAL).lanes["real"].marker == "real"


@pytest.mark.parametrize(
    ("lane", "to_run"), [("all", ["fast", "real"]), ("fast", ["fast"]), ("real", ["real"])]
)
def test_lanes_to_run(project, lane, to_run):
    assert list(project(FAST + REAL, {"slipstream_lane": [lane]}).lanes_to_run) == to_run
    assert list(project(FAST + REAL, environ={"SLIPSTREAM_LANE": lane}).lanes_to_run) == to_run


def test_the_variable_rests_in_a_project_without_databases(project):
    assert project("", environ={"SLIPSTREAM_LANE": "real"}) == Settings()


def test_the_default_lane_can_have_another_name(project):
    settings = project("[tool.slipstream]\ndefault_lane = 'unit'\n" + FAST + REAL)
    assert list(settings.every_lane) == ["unit", "real"]
    assert settings.every_lane["unit"].marker == "unit"


def test_a_value_is_for_the_lanes_that_can_use_it(project):
    url = "postgresql://localhost/"
    settings = project(FAST + REAL, environ={"SLIPSTREAM_SERVER": url})
    assert settings.lanes["real"].databases["main"].server == url
    assert settings.databases["main"].server == "embedded"


@pytest.mark.parametrize(
    ("value", "fast", "real"),
    [
        ("clone", "clone", "clone"),
        ("main=clone", "clone", "clone"),
        ("real.main=clone", "reset", "clone"),
    ],
)
def test_a_value_can_name_database_and_lane(project, value, fast, real):
    settings = project(FAST + REAL, {"slipstream_isolation": [value]})
    assert settings.databases["main"].isolation == fast
    assert settings.lanes["real"].databases["main"].isolation == real


def test_an_entry_of_a_table_is_for_every_lane(project):
    settings = project(FAST + REAL, {"slipstream_env": ["main=POOL=9"]})
    assert settings.databases["main"].env["POOL"] == "9"
    assert settings.lanes["real"].databases["main"].env["POOL"] == "9"


@pytest.mark.parametrize(
    ("text", "cli", "parts"),
    [
        (
            '[tool.slipstream.lanes.real]\ndatabases.main.engine = "oracle"',
            {},
            ["tool.slipstream.lanes.real.databases.main.engine is 'oracle'", "one of sqlite,"],
        ),
        (
            '[tool.slipstream.lanes.real]\ndatabases.mian.engine = "postgresql"',
            {},
            ["lanes.real.databases.mian: the name 'mian' is not configured; there are: main"],
        ),
        (
            '[tool.slipstream.lanes.real]\ndatabases.main.isolation = "rest"',
            {},
            ["lanes.real.databases.main.isolation is 'rest'", "did you mean 'reset'?"],
        ),
        (
            '[tool.slipstream.lanes.real]\nmark = "e2e"',
            {},
            ["tool.slipstream.lanes.real.mark is not known", "databases, marker, paths"],
        ),
        (
            REAL + 'marker = "e2e"\n[tool.slipstream.lanes.slow]\nmarker = "e2e"',
            {},
            ["tool.slipstream.lanes.slow.marker is 'e2e'", "the marker of lane 'real' too"],
        ),
        (
            REAL + 'marker = "fast"',
            {},
            ["tool.slipstream.lanes.real.marker is 'fast'", "the marker of lane 'fast' too"],
        ),
        (REAL + 'marker = "end-to-end"', {}, ["is 'end-to-end', and must be a Python name"]),
        (REAL + 'marker = "skip"', {}, ["lanes.real.marker is 'skip', which has a meaning"]),
        (REAL + 'paths = ["/tests"]', {}, ["lanes.real.paths has '/tests'", "not relative"]),
        (REAL + "paths = 3", {}, ["lanes.real.paths is 3", "a text or a list of texts"]),
        ("[tool.slipstream.lanes.all]", {}, ["the name 'all' stands for all lanes"]),
        ("[tool.slipstream.lanes.Real]", {}, ["the name 'Real' must be a lower-case letter"]),
        ("[tool.slipstream.lanes.fast]", {}, ["tool.slipstream.lanes.fast is the default lane"]),
        ("[tool.slipstream]\nlanes = 3", {}, ["tool.slipstream.lanes is 3, and must be a table"]),
        ("[tool.slipstream]\ndefault_lane = 'all'", {}, ["default_lane is 'all'", "all lanes"]),
        (
            REAL,
            {"slipstream_lane": ["rael"]},
            ["--lane is 'rael', and must be one of fast, real, all", "did you mean 'real'?"],
        ),
        (
            REAL,
            {"slipstream_isolation": ["slow.main=clone"]},
            ["no database 'slow.main' is configured; there are: main, real.main"],
        ),
        (
            REAL + 'databases.main.env = { DATABASE_URL = "sqlite:///{database}" }',
            {},
            [
                "lanes.real.databases.main.env.DATABASE_URL is 'sqlite:///{database}'",
                "a URL of sqlite, and the engine is 'postgresql'",
            ],
        ),
    ],
)
def test_what_is_wrong_is_named(project, text, cli, parts):
    with pytest.raises(ConfigurationError) as caught:
        project(FAST + text, cli)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_two_databases_of_a_lane_cannot_share_a_variable(project):
    text = FAST + '[tool.slipstream.databases.audit]\nengine = "sqlite"\n' + REAL
    with pytest.raises(ConfigurationError, match=r"by tool\.slipstream\.lanes\.real\.databases\."):
        project(text + 'databases.audit.env = { DATABASE_URL = "{url}" }')
