"""Alembic's own templates of ``env.py``, sync and async, made by Alembic itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config

from pytest_slipstream.errors import TemplateError

if TYPE_CHECKING:
    from conftest import Bench

REVISION = '''
"""{name}"""
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "{name}", {down!r}, None, None

def upgrade():
    {body}
'''
DRIVERS = {
    ("sqlite", "generic"): None,
    ("postgresql", "generic"): None,
    ("sqlite", "async"): "aiosqlite",
    ("postgresql", "async"): "asyncpg",
}


def init(bench: Bench, template: str, directory: str = "") -> Path:
    """Let Alembic make an environment, with two revisions."""
    ini = bench.root / directory / "alembic.ini"
    ini.parent.mkdir(exist_ok=True)
    command.init(Config(str(ini)), str(ini.parent / "migrations"), template=template)
    # As a project that is committed has it: relative to where Alembic is run.
    text = ini.read_text()
    lines = ["script_location = migrations" if line.startswith("script_location") else line
             for line in text.splitlines()]  # fmt: skip
    ini.write_text("\n".join(lines))
    versions = ini.parent / "migrations" / "versions"
    first = "op.create_table('users', sa.Column('name', sa.String(20)))"
    second = "op.execute(\"INSERT INTO users VALUES ('seeded')\")"
    (versions / "one.py").write_text(REVISION.format(name="one", down=None, body=first))
    (versions / "two.py").write_text(REVISION.format(name="two", down="one", body=second))
    bench.configure(
        schema=(ini.relative_to(bench.root).as_posix(),),
        driver=DRIVERS[bench.settings.engine, template],
    )
    return ini.parent / "migrations"


@pytest.mark.parametrize("template", ["generic", "async"])
def test_all_revisions_are_applied(bench: Bench, template: str) -> None:
    init(bench, template)
    assert bench.rows("SELECT name FROM users") == [("seeded",)]


@pytest.mark.asyncio
async def test_an_async_env_inside_a_running_loop(bench: Bench) -> None:
    init(bench, "async")
    assert bench.rows("SELECT name FROM users") == [("seeded",)]


def test_an_ini_in_a_directory_of_its_own(bench: Bench) -> None:
    init(bench, "generic", "backend")
    assert bench.rows("SELECT name FROM users") == [("seeded",)]


def test_loggers_stay_as_they_are(bench: Bench) -> None:
    init(bench, "generic")
    logger = logging.getLogger("application.of.the.tests")
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    bench.ready()
    assert not logger.disabled
    assert (root.level, list(root.handlers)) == before


def test_an_env_that_reads_the_environment_gets_the_build_database(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = init(bench, "generic")
    env = migrations / "env.py"
    own = "config = context.config\nimport os\nfrom configuration import URL\n"
    own += "config.set_main_option('sqlalchemy.url', os.environ['DATABASE_URL'].replace('%', '%%'))"
    env.write_text(env.read_text().replace("config = context.config", own, 1))
    bench.write({"configuration.py": "import os\nURL = os.environ['DATABASE_URL']\n"})
    monkeypatch.setenv("DATABASE_URL", "the tests' own")
    bench.configure(env={"DATABASE_URL": "{url}"})
    assert bench.rows("SELECT name FROM users") == [("seeded",)]
    import configuration  # type: ignore[import-not-found]

    assert configuration.URL == "the tests' own"


def test_a_new_revision_builds_a_new_template(bench: Bench) -> None:
    migrations = init(bench, "generic")
    first = bench.ready()
    assert bench.ready() == first
    body = 'op.execute("DELETE FROM users")'
    text = REVISION.format(name="three", down="two", body=body)
    (migrations / "versions" / "three.py").write_text(text)
    assert bench.ready() != first
    assert bench.rows("SELECT name FROM users") == []


def test_a_revision_that_fails_names_its_line(bench: Bench) -> None:
    migrations = init(bench, "generic")
    broken = migrations / "versions" / "two.py"
    broken.write_text(REVISION.format(name="two", down="one", body="raise ValueError('no')"))
    with pytest.raises(TemplateError) as caught:
        bench.ready()
    assert f"ValueError: no ({broken}:8)" in caught.value.message
