"""Alembic environments in a directory of the test's own, and what a database holds in the end.

The invariant: a program runs once as it is and once memoised, each time on databases of its own.
"""

from __future__ import annotations

import sqlite3
import textwrap
from collections.abc import Callable
from pathlib import Path

from alembic.config import Config
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool

from memoised import Counts, held_to_plain
from pytest_slipstream.databases.engines.sqlite import content

ROUNDS = 5
LEARNT = 2
"""So many times a call runs as written, until two have come to the same."""
ENV = """
    from alembic import context
    from sqlalchemy import engine_from_config, pool

    def run(connection):
        context.configure(connection=connection, target_metadata=None, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()

    if context.is_offline_mode():
        context.configure(dialect_name="sqlite")
        context.run_migrations()
    elif "connection" in context.config.attributes:
        run(context.config.attributes["connection"])
    else:
        section = context.config.get_section(context.config.config_ini_section)
        engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
        with engine.connect() as connection:
            run(connection)
"""
MIGRATION = """\
from alembic import op
import sqlalchemy as sa
{imports}

revision = {revision!r}
down_revision = {down!r}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
"""


class Chain:
    """An Alembic environment whose revisions are r1, r2, …"""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "migrations"
        (self.directory / "versions").mkdir(parents=True)
        (self.directory / "env.py").write_text(textwrap.dedent(ENV))
        self.length = 0

    def add(self, upgrade: str, downgrade: str = "pass", imports: str = "") -> None:
        """Write the next migration."""
        self.length += 1
        self.rewrite(self.length, upgrade, downgrade, imports)

    def rewrite(
        self, number: int, upgrade: str, downgrade: str = "pass", imports: str = ""
    ) -> None:
        """Write one of them."""
        written = MIGRATION.format(
            imports=imports,
            revision=f"r{number}",
            down=f"r{number - 1}" if number > 1 else None,
            upgrade=textwrap.indent(textwrap.dedent(upgrade), "    "),
            downgrade=textwrap.indent(textwrap.dedent(downgrade), "    "),
        )
        (self.directory / "versions" / f"r{number}_change.py").write_text(written)

    def add_table(self, name: str, reference: str = "") -> None:
        """Write a migration that makes a table."""
        column = (
            f', sa.Column("other", sa.Integer, sa.ForeignKey("{reference}.id"))'
            if reference
            else ""
        )
        self.add(
            f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True), '
            f'sa.Column("name", sa.String(9)){column})',
            f'op.drop_table("{name}")',
        )

    def change_env(self, old: str, new: str) -> None:
        """Put something else into ``env.py``."""
        path = self.directory / "env.py"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))

    def config(self, engine: Engine | None = None) -> Config:
        """Its configuration; with an engine for that one's database."""
        config = Config()
        config.set_main_option("script_location", str(self.directory))
        if engine is not None:
            config.set_main_option("sqlalchemy.url", str(engine.url))
        return config


class Trial:
    """A database and what a program has seen of it."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.number = number
        self.seen: list[object] = []

    def look(self, *rest: object) -> None:
        """Note all that the database holds."""
        proxy = self.engine.raw_connection()
        assert isinstance(proxy.dbapi_connection, sqlite3.Connection)
        self.seen.append((content.digest(proxy.dbapi_connection), *rest))
        proxy.close()

    def insert(self, number: int) -> None:
        """Add a person."""
        with self.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO person (name) VALUES (:name)"), {"name": f"n{number}"}
            )


Program = Callable[[Trial], None]


def in_memory(number: int) -> Engine:
    return create_engine("sqlite://", poolclass=StaticPool)


def compared(
    program: Program, new_engine: Callable[[int], Engine] = in_memory, *, audit: bool = False
) -> Counts:
    """Run it in both ways, each round on a new database; what it has seen must be equal."""
    return held_to_plain(
        lambda memoising: _run(program, new_engine, ROUNDS if memoising else 0), audit=audit
    )


def _run(program: Program, new_engine: Callable[[int], Engine], first: int) -> list[object]:
    seen: list[object] = []
    for number in range(ROUNDS):
        trial = Trial(new_engine(first + number), number)
        program(trial)
        trial.look()
        trial.engine.dispose()
        seen += trial.seen
    return seen
