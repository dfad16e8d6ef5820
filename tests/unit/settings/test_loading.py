"""Every bad input gets its own sentence; every good one the value that was meant."""

from __future__ import annotations

import argparse

import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings, Settings, load

POSTGRESQL = '[tool.slipstream.databases.main]\nengine = "postgresql"\n'
SQLITE = '[tool.slipstream.databases.main]\nengine = "sqlite"\n'
TWO = POSTGRESQL + '[tool.slipstream.databases.audit]\nengine = "sqlite"\n'
MAIN = "tool.slipstream.databases.main"


@pytest.fixture
def error(project):
    """Load settings that are wrong; the answer is the whole error text."""

    def text(*args, **kwargs) -> str:
        with pytest.raises(ConfigurationError) as caught:
            project(*args, **kwargs)
        assert isinstance(caught.value, pytest.UsageError)
        return str(caught.value)

    return text


# What is right.


def test_no_file_means_no_databases(tmp_path):
    assert load(tmp_path, {}, {}) == Settings()


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'", "[tool.other]\nx = 1"])
def test_no_table_means_no_databases(project, text):
    assert project(text) == Settings()


def test_a_strict_sqlite_database_is_run_on_another_engine(project):
    cli = {"slipstream_engine": ["mysql"], "slipstream_strict": False}
    settings = project(SQLITE + "strict = true\n", cli)
    assert settings.databases["main"].engine == "mysql"
    assert settings.databases["main"].strict is False


def test_every_key_of_the_file_is_decoded(project):
    settings = project(
        """
        [tool.slipstream]
        audit = true
        keep = true
        cache_dir = "/var/tmp/x"
        summary = false

        [tool.slipstream.databases.main]
        engine = "postgresql"
        schema = ["app.models:Base.metadata", "extra.sql"]
        seed = "tests.seed:create_roles"
        isolation = "clone"
        driver = "asyncpg"
        env = { DATABASE_URL = "{url}", PGHOST = "{socket_dir}" }
        tests = "marked"
        tcp = true
        extensions = ["vector", "citext"]
        locale = "C"
        server_options = { max_connections = "400" }
        fingerprint = ["data/*.csv"]
        keep_templates = 2

        [tool.slipstream.databases.audit]
        engine = "sqlite"
        memory = true
        """
    )
    main = DatabaseSettings(
        engine="postgresql",
        schema=("app.models:Base.metadata", "extra.sql"),
        seed=("tests.seed:create_roles",),
        isolation="clone",
        driver="asyncpg",
        env={"DATABASE_URL": "{url}", "PGHOST": "{socket_dir}"},
        tests="marked",
        tcp=True,
        extensions=("vector", "citext"),
        locale="C",
        server_options={"max_connections": "400"},
        fingerprint=("data/*.csv",),
        keep_templates=2,
    )
    assert settings == Settings(
        databases={"main": main, "audit": DatabaseSettings(engine="sqlite", memory=True)},
        audit=True,
        keep=True,
        cache_dir="/var/tmp/x",
        summary=False,
    )


def test_command_line_wins_over_environment_over_file(project):
    text = POSTGRESQL + 'isolation = "reset"'
    environ = {"SLIPSTREAM_ISOLATION": "none"}
    cli = {"slipstream_isolation": ["clone"]}
    assert project(text).databases["main"].isolation == "reset"
    assert project(text, environ=environ).databases["main"].isolation == "none"
    assert project(text, cli, environ).databases["main"].isolation == "clone"


def test_a_falsy_command_line_value_overrides(project):
    text = "[tool.slipstream]\naudit = true"
    assert project(text, {"slipstream_audit": False}).audit is False
    assert project(text, {"slipstream_audit": None}).audit is True
    text = "[tool.slipstream]\nconcurrency = 50"
    assert project(text, {"slipstream_concurrency": ["0"]}).concurrency == 0


def test_the_command_line_may_be_a_namespace(project):
    cli = argparse.Namespace(slipstream_audit=True, verbose=2)
    assert project(POSTGRESQL, cli).audit is True


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("no", False), ("0", False)]
)
def test_switches_in_the_environment(project, text, value):
    file = f"[tool.slipstream]\nkeep = {str(not value).lower()}"
    assert project(file, environ={"SLIPSTREAM_KEEP": text}).keep is value


def test_a_name_before_the_value_chooses_the_database(project):
    databases = project(TWO, {"slipstream_isolation": ["none", "audit=clone"]}).databases
    assert (databases["main"].isolation, databases["audit"].isolation) == ("none", "clone")


def test_a_url_with_a_query_is_not_taken_for_a_name(project):
    url = "postgresql://u@/x?host=/run/pg"
    cli = {"slipstream_server": [url]}
    assert project(POSTGRESQL, cli).databases["main"].server == url
    cli = {"slipstream_server": [f"main={url}"]}
    assert project(POSTGRESQL, cli).databases["main"].server == url


def test_an_unnamed_value_skips_databases_that_cannot_use_it(project):
    databases = project(TWO, {"slipstream_tcp": True}).databases
    assert (databases["main"].tcp, databases["audit"].tcp) == (True, False)


def test_repeated_values_make_a_list_which_replaces_the_files(project):
    cli = {"slipstream_schema": ["a.sql", "b.sql"]}
    assert project(POSTGRESQL + 'schema = "c.sql"', cli).databases["main"].schema == (
        "a.sql",
        "b.sql",
    )


def test_pairs_are_added_to_a_table(project):
    text = POSTGRESQL + 'env = { A = "1", B = "2" }'
    cli = {"slipstream_env": ["B=x={user}", "main=c={database}"]}
    assert project(text, cli).databases["main"].env == {
        "A": "1",
        "B": "x={user}",
        "c": "{database}",
    }


def test_a_lower_case_key_of_a_table_is_not_taken_for_a_database(project):
    cli = {"slipstream_server_options": ["max_connections=400"]}
    assert project(POSTGRESQL, cli).databases["main"].server_options == {"max_connections": "400"}


def test_the_environment_holds_one_value_a_line(project):
    environ = {"SLIPSTREAM_ISOLATION": "main=none\naudit=clone", "SLIPSTREAM_KEEP_TEMPLATES": "9"}
    databases = project(TWO, environ=environ).databases
    assert (databases["main"].isolation, databases["audit"].isolation) == ("none", "clone")
    assert databases["audit"].keep_templates == 9


def test_an_empty_variable_and_one_for_other_projects_rest(project):
    assert project(POSTGRESQL, environ={"SLIPSTREAM_ISOLATION": ""}) == project(POSTGRESQL)
    assert project("", environ={"SLIPSTREAM_ISOLATION": "main=clone"}) == Settings()


def test_braces_can_be_escaped(project):
    text = POSTGRESQL + 'env = { OPTIONS = "{{\\"a\\": 1}}" }'
    template = project(text).databases["main"].env["OPTIONS"]
    assert template.format() == '{"a": 1}'


# What is wrong in the file.


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            POSTGRESQL + 'isolaton = "reset"',
            [f"{MAIN}.isolaton is not known", "isolation", "did you mean 'isolation'?"],
        ),
        (
            POSTGRESQL + 'driver = "asyncmy"',
            [f"{MAIN}.driver", "'asyncmy', which is for mysql; for postgresql there are psycopg,"],
        ),
        (
            "[tool.slipstream]\ngroups = { a = 0 }",
            ["tool.slipstream.groups", "must be a table of whole numbers of at least 1"],
        ),
        (
            POSTGRESQL + 'driver = "postgresql+asyncpg"',
            [
                f"{MAIN}.driver is 'postgresql+asyncpg', and must be the driver's name alone",
                "for postgresql there are psycopg,",
                "hint: write 'asyncpg'",
            ],
        ),
        (POSTGRESQL + 'driver = "postgresql"', [f"{MAIN}.driver is 'postgresql', and must be"]),
        ("[tool.slipstream]\nadit = true", ["tool.slipstream.adit", "did you mean 'audit'?"]),
        (
            "[tool.slipstream.database.main]\nengine = 'sqlite'",
            ["tool.slipstream.database is not known", "did you mean 'databases'?"],
        ),
        (
            SQLITE + "[tool.slipstream.lane.real]\nmarker = 'e2e'",
            ["tool.slipstream.lane is {'real'", "must be a text", "did you mean 'lanes'?"],
        ),
        (
            '[tool.slipstream]\nisolation = "none"',
            ["tool.slipstream.isolation", "[tool.slipstream.databases.main]"],
        ),
        (POSTGRESQL + "audit = true", [f"{MAIN}.audit", "belongs to [tool.slipstream]"]),
        ("[tool.slipstream]\nbudget = 1", ["tool.slipstream.budget is 1, and must be a table"]),
        ("[tool.slipstream]\nprocesses = 16", ["tool.slipstream.processes is not known"]),
        ("[tool]\nslipstream = 3", ["tool.slipstream is 3, and must be a table"]),
        (
            "[tool.slipstream]\ndatabases = 'main'",
            ["tool.slipstream.databases is 'main', and must be a table"],
        ),
        ("[tool.slipstream.databases]\nmain = 'x'", [f"{MAIN} is 'x', and must be a table"]),
        (
            '[tool.slipstream.databases.main]\nisolation = "none"',
            [f"{MAIN}.engine is missing", "sqlite, postgresql"],
        ),
        (
            '[tool.slipstream.databases.main]\nengine = "oracle"',
            [f"{MAIN}.engine is 'oracle'", "one of sqlite, postgresql, mysql"],
        ),
        (
            '[tool.slipstream.databases.main]\nengine = "postgres"',
            ["'postgres'", "did you mean 'postgresql'?"],
        ),
        (
            '[tool.slipstream.databases.main]\nengine = "mariadb"',
            ["'mariadb'", "did you mean 'mysql'?"],
        ),
        (POSTGRESQL + 'isolation = "rest"', ["is 'rest'", "one of reset, rollback, clone, none"]),
        (POSTGRESQL + 'tests = "some"', [f"{MAIN}.tests is 'some'", "one of all, marked"]),
        (POSTGRESQL + "tcp = 1", [f"{MAIN}.tcp is 1, and must be true or false"]),
        (POSTGRESQL + "schema = 3", [f"{MAIN}.schema is 3", "a text or a list of texts"]),
        (POSTGRESQL + 'schema = ["a.sql", 3]', [f"{MAIN}.schema is ['a.sql', 3]"]),
        (POSTGRESQL + 'env = "x"', [f"{MAIN}.env is 'x'", "a table of texts"]),
        (POSTGRESQL + "env = { PORT = 5432 }", [f"{MAIN}.env is", "a table of texts"]),
        (POSTGRESQL + "keep_templates = 0", ["is 0", "a whole number of at least 1"]),
        (POSTGRESQL + "keep_templates = true", ["is True", "a whole number"]),
        (POSTGRESQL + 'schema = ""', [f"{MAIN}.schema has an empty entry"]),
        (POSTGRESQL + 'seed = ["a.sql", " "]', [f"{MAIN}.seed has an empty entry"]),
        (
            POSTGRESQL + 'env = { URL = "{foo}" }',
            [f"{MAIN}.env.URL has the placeholder {{foo}}", "{url}, {host}, {port}, {user}"],
        ),
        (POSTGRESQL + 'env = { URL = "{}" }', ["has the placeholder {}"]),
        (POSTGRESQL + 'env = { URL = "{port:>9}" }', ["has the placeholder {port:>9}"]),
        (POSTGRESQL + 'env = { URL = "{url!r}" }', ["has the placeholder {url!r}"]),
        (POSTGRESQL + 'env = { URL = "{url" }', ["brace without its partner"]),
        (POSTGRESQL + 'env = { URL = "url}" }', ["brace without its partner"]),
        (SQLITE + 'env = { URL = "{host}" }', ["has the placeholder {host}", "{url}, {database}"]),
        (POSTGRESQL + 'env = { "A=B" = "x" }', ["env.A=B cannot be an environment variable"]),
        (SQLITE + 'server = "postgresql://h/"', [f"{MAIN}.server", "engine = 'postgresql'"]),
        (SQLITE + 'extensions = "vector"', [f"{MAIN}.extensions", "engine is 'sqlite'"]),
        (POSTGRESQL + "memory = true", [f"{MAIN}.memory", "engine = 'sqlite'"]),
        (
            POSTGRESQL + 'server = "postgresql://h/"\ntcp = true',
            [f"{MAIN}.tcp", "server = 'embedded'", "server is a URL"],
        ),
        (POSTGRESQL + 'server = "embeded"', ["is 'embeded', and must be 'embedded' or a URL"]),
        (POSTGRESQL + 'server = "mysql://h/"', ["starts with 'mysql://'", "'postgresql://'"]),
        ('[tool.slipstream.databases.Main]\nengine = "sqlite"', ["'Main' must be a lower-case"]),
        ('[tool.slipstream.databases.a-b]\nengine = "sqlite"', ["'a-b' must be a lower-case"]),
        (
            f'[tool.slipstream.databases.{"a" * 21}]\nengine = "sqlite"',
            ["has 21 characters and may have 20", "63 bytes"],
        ),
        (
            POSTGRESQL
            + 'env = { URL = "{url}" }\n[tool.slipstream.databases.audit]\nengine = "sqlite"\n'
            + 'env = { URL = "{url}" }',
            ["variable URL is set by", f"{MAIN}.env", "databases.audit.env"],
        ),
        ("[tool.slipstream\naudit = 1", ["pyproject.toml is not valid TOML", "line 1"]),
    ],
)
def test_what_is_wrong_is_named(error, text, parts):
    message = error(text)
    assert [part for part in parts if part not in message] == []


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml is not UTF-8"):
        load(tmp_path, {}, {})


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml cannot be read: Is a directory"):
        load(tmp_path, {}, {})


# What is wrong elsewhere: the error names the flag or the variable, not the file's key.


@pytest.mark.parametrize(
    ("cli", "environ", "parts"),
    [
        (
            {"slipstream_isolation": ["rest"]},
            {},
            ["--slipstream-isolation is 'rest'", "did you mean 'reset'?"],
        ),
        (
            {"slipstream_isolation": ["mian=reset"]},
            {},
            ["no database 'mian' is configured", "there are: main", "did you mean 'main'?"],
        ),
        ({"slipstream_env": ["URL"]}, {}, ["--slipstream-env is 'URL', and must be KEY=VALUE"]),
        (
            {"slipstream_env": ["URL={foo}"]},
            {},
            ["--slipstream-env.URL for database 'main' has the placeholder {foo}"],
        ),
        ({"slipstream_memory": True}, {}, ["--slipstream-memory", "no database that can use it"]),
        (
            {},
            {"SLIPSTREAM_KEEP_TEMPLATES": "few"},
            ["SLIPSTREAM_KEEP_TEMPLATES is 'few'", "a whole number of at least 1"],
        ),
        ({}, {"SLIPSTREAM_AUDIT": "maybe"}, ["SLIPSTREAM_AUDIT is 'maybe'", "true or false"]),
        ({}, {"SLIPSTREAM_SERVER": "localhost"}, ["SLIPSTREAM_SERVER", "is 'localhost'"]),
    ],
)
def test_what_is_wrong_outside_the_file_is_named(error, cli, environ, parts):
    message = error(POSTGRESQL, cli, environ)
    assert [part for part in parts if part not in message] == []


def test_a_flag_without_any_database_says_how_to_get_one(error):
    message = error("", {"slipstream_isolation": ["clone"]})
    assert message.endswith("hint: 'slipstream init' writes a configuration")


@pytest.mark.parametrize("text", ["", SQLITE])
@pytest.mark.parametrize("value", ["postgresql://u:secret@h/", "main=postgresql://u:secret@h/"])
def test_an_error_does_not_show_a_password(error, text, value):
    assert "secret" not in error(text, {"slipstream_server": [value]})
