"""Memoised migrations on SQLite: every program ends as it does without."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text

from migrating import LEARNT, ROUNDS, Chain, Program, Trial, compared


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    made = Chain(tmp_path)
    made.add_table("person")
    made.add_table("purchase", "person")
    made.add(
        'op.add_column("person", sa.Column("age", sa.Integer))\n'
        'op.create_index("by_age", "person", ["age"])',
        'op.drop_index("by_age", "person")\n'
        'with op.batch_alter_table("person") as batch:\n    batch.drop_column("age")',
    )
    return made


def sharing(chain: Chain, *steps: tuple[str, str]) -> Program:
    """Commands over one connection, which is committed in the end."""

    def program(trial: Trial) -> None:
        config = chain.config()
        for name, revision in steps:
            with trial.engine.begin() as connection:
                config.attributes["connection"] = connection
                getattr(command, name)(config, revision)
            trial.look(name)

    return program


def test_a_connection_in_attributes(chain: Chain) -> None:
    counts = compared(sharing(chain, ("upgrade", "head")))

    assert counts.times["alembic upgrade on SQLite"] == ROUNDS - LEARNT
    assert counts.reasons == set()


def test_a_file(chain: Chain, tmp_path: Path) -> None:
    def new_engine(number: int) -> Engine:
        return create_engine(f"sqlite:///{tmp_path}/{number}.db")

    def program(trial: Trial) -> None:
        command.upgrade(chain.config(trial.engine), "head")
        trial.look()
        with trial.engine.begin() as connection:
            connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
        command.downgrade(chain.config(trial.engine), "base")

    counts = compared(program, new_engine)

    assert counts.times["alembic upgrade on SQLite"] == ROUNDS - LEARNT
    assert counts.reasons == set()
