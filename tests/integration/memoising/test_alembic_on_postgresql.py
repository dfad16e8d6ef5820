"""Memoised migrations on PostgreSQL: every program ends as it does without."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memoised import ROUNDS, Compared, Program, Trial
from migrating import LEARNT, Chain
from pytest_slipstream.databases.urls import url

UPGRADE, DOWNGRADE = "alembic upgrade on PostgreSQL", "alembic downgrade on PostgreSQL"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    made = Chain(tmp_path)
    made.add_table("person")
    made.add_table("purchase", "person")
    made.add(
        "op.execute(\"CREATE TYPE mood AS ENUM ('good', 'bad')\")\n"
        'op.execute("ALTER TABLE person ADD mood mood")\n'
        "op.execute(\"INSERT INTO person (name) VALUES ('100%'), ('Eve')\")",
        'op.drop_column("person", "mood")\nop.execute("DROP TYPE mood")',
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


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_up_and_down_for_each_test(compared: Compared, chain: Chain, driver: str) -> None:
    counts = compared(lambda: for_each_test(chain), driver=driver)

    assert counts.reasons == set()
    # The first time there is no version table yet.
    assert counts.times == {UPGRADE: ROUNDS - LEARNT - 1, DOWNGRADE: ROUNDS - LEARNT}


def test_the_audit_holds_both_ways_to_each_other(compared: Compared, chain: Chain) -> None:
    counts = compared(lambda: for_each_test(chain), audit=True)

    assert counts.checked == sum(counts.times.values()) > 0


def test_a_transaction_that_is_rolled_back(compared: Compared, chain: Chain) -> None:
    def program(trial: Trial) -> None:
        with trial.engine.connect() as connection:
            transaction = connection.begin()
            upgrade_by(chain, connection, "upgrade", "head")
            transaction.rollback()
        trial.look()

    counts = compared(lambda: program)
    assert (counts.times, counts.reasons) == ({UPGRADE: ROUNDS - LEARNT}, set())


def test_an_engine_of_env_pys_own_and_schemas_that_are_dropped(
    compared: Compared, chain: Chain
) -> None:
    def program(trial: Trial) -> None:
        config = chain.config()
        config.set_main_option(
            "sqlalchemy.url", url(trial.address, driver="psycopg").replace("%", "%%")
        )
        command.upgrade(config, "head")
        command.upgrade(config, "head")
        trial.look()
        command.stamp(config, "r1")
        trial.look()
        trial.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    counts = compared(lambda: program)

    assert counts.reasons == set()
    assert counts.times == {
        UPGRADE: ROUNDS - LEARNT - 1,  # the schema that a new database brings along is another's
        f"{UPGRADE}, nothing to do": ROUNDS - LEARNT - 1,
        "alembic stamp on PostgreSQL": ROUNDS - LEARNT - 1,
    }


def test_loops_of_each_test(compared: Compared, chain: Chain) -> None:
    def program(trial: Trial) -> None:
        async def one_test() -> list[object]:
            engine = create_async_engine(url(trial.address, driver="asyncpg"), poolclass=NullPool)
            async with engine.begin() as connection:
                await connection.run_sync(run, "upgrade", "head")
            async with engine.begin() as connection:
                rows = list((await connection.execute(text("SELECT * FROM person"))).all())
                await connection.run_sync(run, "downgrade", "base")
            await engine.dispose()
            return rows

        def run(connection: Connection, name: str, revision: str) -> None:
            upgrade_by(chain, connection, name, revision)

        trial.look(asyncio.run(one_test()))

    assert compared(lambda: program).times[UPGRADE] == ROUNDS - LEARNT - 1


def test_rows_that_a_migration_reads_decide(compared: Compared, chain: Chain) -> None:
    chain.add(
        'count = op.get_bind().execute(sa.text("SELECT count(*) FROM person")).scalar()\n'
        'op.add_column("person", sa.Column(f"seen_{count}", sa.Integer))'
    )
    numbers = iter([0, 0, 0, 0, 1, 2] * 2)

    def program(trial: Trial) -> None:
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "upgrade", "r3")
        for _ in range(next(numbers)):
            trial.execute("INSERT INTO person (name) VALUES ('Ada')")
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "upgrade", "head")
        trial.look()
        trial.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    compared(lambda: program)


def test_the_time_is_the_servers_of_now(compared: Compared, chain: Chain) -> None:
    chain.add('op.execute("CREATE TABLE note AS SELECT now() AS at")', 'op.drop_table("note")')
    times: list[object] = []

    def program(trial: Trial) -> None:
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "upgrade", "head")
            times.append(connection.execute(text("SELECT at FROM note")).scalar_one())
            upgrade_by(chain, connection, "downgrade", "base")

    assert compared(lambda: program).times[UPGRADE] == ROUNDS - LEARNT - 1
    assert len(set(times)) == 2 * ROUNDS


@pytest.mark.parametrize("value", ["random()", "clock_timestamp()"])
def test_rows_that_are_others_each_time(compared: Compared, chain: Chain, value: str) -> None:
    chain.add(f'op.execute("CREATE TABLE note AS SELECT {value}")', 'op.drop_table("note")')

    def program(trial: Trial) -> None:
        for name, revision in (("upgrade", "head"), ("downgrade", "base")):
            with trial.engine.begin() as connection:
                upgrade_by(chain, connection, name, revision)

    counts = compared(lambda: program)

    assert UPGRADE not in counts.times
    assert counts.reasons == {"migrations that come to something else each time"}


def test_a_connection_that_commits_by_itself(compared: Compared, chain: Chain) -> None:
    chain.add(
        "with op.get_context().autocommit_block():\n"
        "    op.execute(\"ALTER TYPE mood ADD VALUE 'so'\")",
    )

    def program(trial: Trial) -> None:
        config = chain.config()
        config.set_main_option(
            "sqlalchemy.url", url(trial.address, driver="psycopg").replace("%", "%%")
        )
        command.upgrade(config, "head")
        trial.look()
        trial.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    counts = compared(lambda: program)

    assert counts.times == {}
    assert counts.reasons == {"a migration that handles transactions by itself"}
