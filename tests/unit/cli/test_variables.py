"""Environment variables with a database's URL are found, however they are read."""

from __future__ import annotations

import pytest

from pytest_slipstream.cli.discovery import variables

SETTINGS = """
    from pydantic_settings import BaseSettings, SettingsConfigDict
    from pydantic import Field, PostgresDsn
    class Settings(BaseSettings):
        {config}
        {field}
"""


@pytest.mark.parametrize(
    ("code", "default"),
    [
        ("import os\nu = os.environ['DATABASE_URL']", ""),
        ("import os\nu = os.getenv('DATABASE_URL')", ""),
        ("from os import environ\nu = environ['DATABASE_URL']", ""),
        ("from os import getenv\nu = getenv('DATABASE_URL', 'sqlite:///a.db')", "sqlite:///a.db"),
        ("import os\nu = os.environ.get('DATABASE_URL', f'sqlite:///{x}')", "sqlite:///"),
        (
            "from starlette.config import Config\nconfig = Config('.env')\n"
            "u = config('DATABASE_URL', default='postgresql://h/d')",
            "postgresql://h/d",
        ),
        ("from environs import Env\nenv = Env()\nu = env.str('DATABASE_URL')", ""),
        ("from decouple import config\nu = config('DATABASE_URL')", ""),
    ],
)
def test_a_variable_that_is_read(tree, code, default):
    (found,) = variables.find(tree({"app/config.py": code}))
    assert (found.name, found.placeholder, found.default) == ("DATABASE_URL", "url", default)
    assert str(found.place) == f"app/config.py:{len(code.splitlines())}"


@pytest.mark.parametrize(
    ("config", "field", "name"),
    [
        ("x = 1", "database_url: str", "DATABASE_URL"),
        ("x = 1", "db: str = 'postgresql+asyncpg://h/d'", "DB"),
        ("model_config = SettingsConfigDict(env_prefix='APP_')", "db_url: str", "APP_DB_URL"),
        ("model_config = {'env_prefix': 'ACME_'}", "db_url: str", "ACME_DB_URL"),
        ("x = 1", "url: PostgresDsn = PostgresDsn('postgresql://h/d')", "URL"),
        ("x = 1", "url: str = Field(alias='SQLALCHEMY_DATABASE_URI')", "SQLALCHEMY_DATABASE_URI"),
        ("x = 1", "url: str = Field('sqlite://', validation_alias='DB_DSN')", "DB_DSN"),
    ],
)
def test_a_field_of_pydantic_settings(tree, config, field, name):
    (found,) = variables.find(tree({"s.py": SETTINGS.format(config=config, field=field)}))
    assert (found.name, found.placeholder) == (name, "url")


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        ("POSTGRES_SERVER", "host"),
        ("DB_PORT", "port"),
        ("DATABASE_USER", "user"),
        ("PGPASSWORD", "password"),
        ("POSTGRES_DB", "database"),
        ("DB_NAME", "database"),
        ("APP_DATABASE_URL", "url"),
        ("REDIS_URL", None),
        ("BASE_URL", None),
        ("DB_POOL_SIZE", None),
        ("SECRET_KEY", None),
    ],
)
def test_what_a_name_stands_for(name, placeholder):
    assert variables.placeholder_of(name, "") == placeholder


def test_a_url_of_something_else_is_no_database():
    assert variables.placeholder_of("DATABASE_URL", "redis://localhost") is None


def test_the_place_with_a_default_is_preferred(tree):
    found = variables.find(
        tree(
            {
                "a.py": "import os\nos.environ['DATABASE_URL']",
                "b.py": "import os\nos.getenv('DATABASE_URL', 'sqlite://')",
            }
        )
    )
    assert [str(one.place) for one in found] == ["b.py:2"]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("postgresql+asyncpg://u@h/d", ("postgresql", "asyncpg")),
        ("postgres://u@h/d", ("postgresql", "")),
        ("sqlite:///./a.db", ("sqlite", "")),
        ("sqlite+aiosqlite://", ("sqlite", "aiosqlite")),
        ("mysql://h/d", ("mysql", "")),
        ("mariadb+pymysql://h/d", ("mysql", "pymysql")),
        ("oracle://h/d", None),
        ("https://example.org", None),
    ],
)
def test_database_urls(text, parsed):
    assert variables.parse_url(text) == parsed
