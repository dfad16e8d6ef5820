"""Memoised migrations on MariaDB: every program ends as it does without."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection

from memoised import ROUNDS, Compared, Program, Trial
from migrating import LEARNT, Chain

UPGRADE, DOWNGRADE = "alembic upgrade on MySQL or MariaDB", "alembic downgrade on MySQL or MariaDB"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    made = Chain(tmp_path)
    made.add_table("person")
    made.add_table("purchase", "person")
    made.add(
        "op.execute(\"ALTER TABLE person ADD mood enum('good', 'bad')\")\n"
        "op.execute(\"INSERT INTO person (name) VALUES ('100%'), ('Eve')\")",
        'op.drop_column("person", "mood")',
    )
    return made


def upgrade_by(chain: Chain, connection: Connection, name: str, revision: str) -> None:
    config = chain.config()
    config.attributes["connection"] = connection
    getattr(command, name)(config, revision)


def for_each_test(chain: Chain) -> Program:
    def program(trial: Trial) -> None:
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "upgrade", "head")
        trial.execute("INSERT INTO person (name) VALUES ('Ada')")
        trial.look()
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "downgrade", "base")
        trial.look()

    return program


def test_up_and_down_for_each_test(compared_on_mysql: Compared, chain: Chain) -> None:
    counts = compared_on_mysql(lambda: for_each_test(chain))

    assert counts.reasons == set()
    # The first time there is no version table yet.
    assert counts.times == {UPGRADE: ROUNDS - LEARNT - 1, DOWNGRADE: ROUNDS - LEARNT}
