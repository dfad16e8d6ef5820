"""``slipstream init`` on a project with hand-written fixtures; then its tests pass without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

APP = {
    "shop/__init__.py": "",
    "shop/config.py": """
        import os

        DATABASE_URL = os.getenv("DATABASE_URL", "{url}")
    """,
    "shop/models.py": """
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


        class Base(DeclarativeBase):
            pass


        class User(Base):
            __tablename__ = "user"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(unique=True)
    """,
    "shop/db.py": """
        from sqlalchemy import create_engine

        from shop.config import DATABASE_URL

        engine = create_engine(DATABASE_URL)
    """,
    "tests/conftest.py": """
        import pytest

        from shop.db import engine
        from shop.models import Base


        @pytest.fixture(autouse=True)
        def tables():
            Base.metadata.create_all(engine)
            yield
            Base.metadata.drop_all(engine)
    """,
    "tests/test_users.py": """
        import pytest
        from sqlalchemy.orm import Session

        from shop.db import engine
        from shop.models import User


        @pytest.mark.parametrize("number", range(3))
        def test_the_first_user(number):
            with Session(engine) as session:
                user = User(name="ada")
                session.add(user)
                session.commit()
                assert user.id == 1
    """,
}
PYPROJECT = '[tool.pytest.ini_options] # by hand\npythonpath = ["."]\n'


@pytest.fixture(params=["sqlite:///app.db", "postgresql+psycopg://localhost/app"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if not request.param.startswith("sqlite"):
        request.getfixturevalue("require_servers")
    for name, text in APP.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text).replace("{url}", request.param), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    return tmp_path


def test_init_then_the_fixture_is_deleted_then_pytest_passes(project, slipstream, environ):
    done = slipstream("init")
    assert done.returncode == 0, done.stderr
    assert "tests/conftest.py:9 tables creates the tables" in done.stdout
    assert "it can be deleted" in done.stdout
    assert "shop/config.py:4" in done.stdout
    written = (project / "pyproject.toml").read_text("utf-8")
    assert written.startswith(PYPROJECT + "\n[tool.slipstream.databases.main]\n")
    (project / "tests" / "conftest.py").unlink()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
    assert not (project / "app.db").exists()


def test_print_writes_nothing(project, slipstream):
    done = slipstream("init", "--print")
    assert done.returncode == 0
    assert "[tool.slipstream.databases.main]" in done.stdout
    assert (project / "pyproject.toml").read_text("utf-8") == PYPROJECT


def test_a_configuration_that_is_there_is_left_alone(project, slipstream):
    (project / "pyproject.toml").write_text("[tool.slipstream]\naudit = true\n", encoding="utf-8")
    done = slipstream("init")
    assert done.returncode == 4
    assert "has [tool.slipstream] already" in done.stderr
    assert "hint: `slipstream init --print`" in done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "pyproject.toml").read_text("utf-8") == "[tool.slipstream]\naudit = true\n"


def test_what_cannot_be_told_is_asked_for_by_options(tmp_path, slipstream):
    done = slipstream("init")
    assert done.returncode == 1
    assert "--engine: no URL names one; choices: postgresql, mysql, sqlite" in done.stdout
    assert "--schema" in done.stdout
    assert "hint: run `slipstream init` again with --engine" in done.stderr
    assert not (tmp_path / "pyproject.toml").exists()
    done = slipstream("init", "--engine", "sqlite", "--schema", "schema.sql")
    assert done.returncode == 0, done.stderr
    assert "look at: schema.sql is not there yet" in done.stdout
    assert 'schema = "schema.sql"' in (tmp_path / "pyproject.toml").read_text("utf-8")


def test_a_configuration_that_leads_to_another_server_is_not_written(project, slipstream):
    (project / "shop" / "config.py").write_text(
        "import os\nDATABASE_URL = f\"postgresql://me@{os.environ['PG_HOST']}/app\"\n"
    )
    done = slipstream("init", "--engine", "postgresql")
    assert done.returncode == 1
    assert "error: nothing was written: the application reads PG_HOST" in done.stderr
    assert "hint: read host and port from variables, or a whole URL" in done.stderr
    assert (project / "pyproject.toml").read_text("utf-8") == PYPROJECT


def test_a_wrong_engine_lists_the_valid_ones(slipstream):
    done = slipstream("init", "--engine", "oracle")
    assert done.returncode == 4
    assert "error: --engine is 'oracle'; valid are: postgresql, mysql, sqlite" in done.stderr
