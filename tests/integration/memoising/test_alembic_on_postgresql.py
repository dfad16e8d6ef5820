"""Memoised migrations on PostgreSQL: every program ends as it does without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memoised import ROUNDS, Compared, Program, Trial
from migrating import LEARNT, Chain
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX
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


@pytest.fixture
def bare(tmp_path: Path) -> Chain:
    """Migrations that leave no rows."""
    made = Chain(tmp_path)
    made.add_table("person")
    made.add_table("purchase", "person")
    made.add('op.execute("CREATE SEQUENCE numbers START 7")', 'op.execute("DROP SEQUENCE numbers")')
    return made


class Parked:
    """How often a program has found schemas of slipstream's aside."""

    def __init__(self) -> None:
        self.times = 0

    def count(self, trial: Trial) -> None:
        with trial.engine.connect() as connection:
            names = connection.execute(text("SELECT nspname FROM pg_namespace")).scalars()
            self.times += any(name.startswith(PREFIX) for name in names)


def in_turns(
    chain: Chain, parked: Parked, change: Callable[[Trial, int], None] = lambda trial, number: None
) -> Program:
    rounds = iter(range(ROUNDS))

    def program(trial: Trial) -> None:
        number = next(rounds)
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "upgrade", "head")
        trial.look("upgraded")
        trial.execute("INSERT INTO person (name) SELECT 'Ada' FROM generate_series(1, 500)")
        trial.execute("INSERT INTO purchase (other) VALUES (1)", "SELECT nextval('numbers')")
        change(trial, number)
        with trial.engine.begin() as connection:
            upgrade_by(chain, connection, "downgrade", "base")
        parked.count(trial)
        trial.look("downgraded")

    return program


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_schemas_take_turns(compared: Compared, bare: Chain, driver: str) -> None:
    parked = Parked()
    counts = compared(lambda: in_turns(bare, parked), driver=driver)

    assert counts.times == {UPGRADE: ROUNDS - LEARNT - 1, DOWNGRADE: ROUNDS - LEARNT}
    assert parked.times == ROUNDS - LEARNT


def test_schemas_that_take_turns_are_audited(compared: Compared, bare: Chain) -> None:
    counts = compared(lambda: in_turns(bare, Parked()), audit=True)

    assert counts.checked > 0


CHANGES = (
    "ALTER TABLE person ADD age integer",
    "CREATE TABLE beside (id integer)",
    "UPDATE alembic_version SET version_num = 'r2'",
    "DELETE FROM alembic_version",
    "GRANT SELECT ON person TO PUBLIC",
    "CREATE VIEW names AS SELECT name FROM person",
    "ALTER SEQUENCE numbers INCREMENT 3",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_a_change_of_a_tests_own_hinders_it(
    compared: Compared, bare: Chain, statement: str
) -> None:
    def change(trial: Trial, number: int) -> None:
        if number == ROUNDS - 2:
            trial.execute(statement)

    compared(lambda: in_turns(bare, Parked(), change))


def test_rows_elsewhere_that_a_migration_reads(compared: Compared, bare: Chain) -> None:
    bare.add(
        'count = op.get_bind().execute(sa.text("SELECT count(*) FROM other.noted")).scalar()\n'
        'op.add_column("person", sa.Column(f"seen_{count}", sa.Integer))',
        'op.execute("ALTER TABLE person DROP COLUMN IF EXISTS unseen")',
    )
    parked = Parked()

    def make() -> Program:
        def change(trial: Trial, number: int) -> None:
            if number >= ROUNDS - 2:
                trial.execute("INSERT INTO other.noted VALUES (1)")

        rounds = in_turns(bare, parked, change)

        def program(trial: Trial) -> None:
            trial.execute("CREATE SCHEMA IF NOT EXISTS other")
            trial.execute("CREATE TABLE IF NOT EXISTS other.noted (id integer)")
            rounds(trial)

        return program

    compared(make)
    assert parked.times == 0


def test_turns_in_a_transaction_that_is_rolled_back(compared: Compared, bare: Chain) -> None:
    parked = Parked()

    def change(trial: Trial, number: int) -> None:
        with trial.engine.connect() as connection:
            transaction = connection.begin()
            upgrade_by(bare, connection, "downgrade", "base")
            upgrade_by(bare, connection, "upgrade", "head")
            transaction.rollback()
        trial.look("rolled back")

    compared(lambda: in_turns(bare, parked, change))
    assert parked.times > 0


def test_migrations_that_change_while_schemas_take_turns(compared: Compared, bare: Chain) -> None:
    def make() -> Program:
        def change(trial: Trial, number: int) -> None:
            if number == ROUNDS - 3:
                bare.rewrite(
                    2,
                    'op.create_table("purchase", sa.Column("other", sa.BigInteger))',
                    'op.drop_table("purchase")',
                )

        bare.rewrite(
            2,
            'op.create_table("purchase", sa.Column("other", sa.Integer))',
            'op.drop_table("purchase")',
        )
        return in_turns(bare, Parked(), change)

    compared(make)
