"""A small application with a module-level engine, and whole pytest runs over it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

# Plugins that pytest would load into every run and that no project here uses: two thirds of the
# time that a run takes to start. Runs by `subprocess` alone have them, as users do.
WITHOUT_UNUSED_PLUGINS = tuple(
    argument
    for plugin in ("ctrf", "faker", "hypothesispytest", "pytest_postgresql")
    for argument in ("-p", f"no:{plugin}")
)

DATABASES = {
    "sqlite": """
        [tool.slipstream.databases.main]
        engine = "sqlite"
        schema = "app.models:Base.metadata"
        seed = "app.seed:fill"
        env = { DATABASE_URL = "{url}" }
    """,
    "mysql": """
        [tool.slipstream.databases.main]
        engine = "mysql"
        server_options = { sql_mode = "STRICT_TRANS_TABLES,ANSI_QUOTES" }
        schema = "app.models:Base.metadata"
        seed = "app.seed:fill"
        env = { DATABASE_URL = "{url}" }
    """,
    "postgresql": """
        [tool.slipstream.databases.main]
        engine = "postgresql"
        schema = "app.models:Base.metadata"
        seed = "app.seed:fill"
        env = { DATABASE_URL = "{url}" }
    """,
}

APP = {
    "app/__init__.py": "",
    "app/models.py": """
        from sqlalchemy import ForeignKey, String
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


        class Base(DeclarativeBase):
            pass


        class Role(Base):
            __tablename__ = "role"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(20), unique=True)


        class User(Base):
            __tablename__ = "user"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(20), unique=True)
            role_id: Mapped[int] = mapped_column(ForeignKey("role.id"))
    """,
    "app/seed.py": """
        from sqlalchemy import create_engine
        from sqlalchemy.orm import Session

        from app.models import Role


        def fill(url):
            engine = create_engine(url)
            with Session(engine) as session:
                session.add_all([Role(name="admin"), Role(name="member")])
                session.commit()
            engine.dispose()
    """,
    "app/db.py": """
        import os

        from sqlalchemy import create_engine, func, select
        from sqlalchemy.orm import Session

        from app.models import Role, User

        engine = create_engine(os.environ["DATABASE_URL"])


        def add(name):
            with Session(engine) as session:
                user = User(name=name, role_id=1)
                session.add(user)
                session.commit()
                return user.id


        def names():
            with Session(engine) as session:
                return list(session.scalars(select(User.name).order_by(User.id)))


        def roles():
            with Session(engine) as session:
                return list(session.scalars(select(Role.name).order_by(Role.id)))
    """,
}


class Project:
    """A project in a directory of its own; `run` is a whole pytest in a process of its own."""

    def __init__(self, pytester: pytest.Pytester, configuration: str) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.configure(configuration)
        self.write(APP)

    def configure(self, configuration: str, pytest_options: str = "") -> None:
        text = textwrap.dedent(configuration)
        text += f'\n[tool.pytest.ini_options]\npythonpath = ["."]\n{pytest_options}\n'
        (self.path / "pyproject.toml").write_text(text)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def run(self, *args: str, tests: str | None = None) -> pytest.RunResult:
        if tests is not None:
            self.write({"test_it.py": tests})
        options = ("-p", "no:cacheprovider", *WITHOUT_UNUSED_PLUGINS)
        return self.pytester.runpytest_subprocess(*options, *args, timeout=90)

    def slipstream(self, *args: str) -> str:
        """The output of the command ``slipstream``, which must succeed."""
        command = [str(Path(sys.executable).with_name("slipstream")), *args]
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events of the newest run."""
        runs = sorted(
            (self.path / ".slipstream" / "runs").iterdir(), key=lambda run: run.stat().st_mtime_ns
        )
        lines = [
            json.loads(line)
            for path in runs[-1].glob("events-*.jsonl")
            for line in path.read_text().splitlines()
        ]
        return [event for event in lines if kind is None or event["event"] == kind]
