"""Memoised migrations on SQLite: every program ends as it does without."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path

import pytest
from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    text,
)
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from memoised import NEVER_SAMPLED, Counts
from migrating import LEARNT, ROUNDS, Chain, Program, Trial, compared
from pytest_slipstream.databases.memoising.alembic.places import Image
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.errors import IsolationError

SAMPLED = "0" * 32


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


def test_a_connection_that_is_audited(chain: Chain) -> None:
    steps = (("upgrade", "head"), ("downgrade", "base"))
    counts = compared(sharing(chain, *steps), audit=True)

    assert counts.times.keys() == {"alembic upgrade on SQLite", "alembic downgrade on SQLite"}
    assert counts.checked == sum(counts.times.values()) == 2 * (ROUNDS - LEARNT)


def test_a_suite_that_tests_its_own_migrations_up_and_down(chain: Chain) -> None:
    chain.add("op.bulk_insert(sa.table('person', sa.column('name')), [{'name': 'Eve'}])")
    steps = [
        ("upgrade", "r1"),
        ("upgrade", "+1"),
        ("upgrade", "head"),
        ("upgrade", "head"),
        ("downgrade", "-1"),
        ("downgrade", "r1"),
        ("upgrade", "head"),
        ("downgrade", "base"),
        ("stamp", "r2"),
        ("stamp", "base"),
        ("upgrade", "head"),
    ]
    counts = compared(sharing(chain, *steps))

    assert counts.reasons == set()
    assert counts.times["alembic upgrade on SQLite"] >= ROUNDS - LEARNT
    assert counts.times["alembic stamp on SQLite"] >= ROUNDS - LEARNT


def test_rows_that_migrations_insert_are_there(chain: Chain) -> None:
    chain.add(
        "op.execute(\"INSERT INTO person (name) VALUES ('Ada')\")\n"
        "op.bulk_insert(sa.table('person', sa.column('name')), [{'name': 'Eve'}, {'name': 'Bob'}])"
    )

    def program(trial: Trial) -> None:
        with trial.engine.connect() as connection:
            config = chain.config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            trial.look(connection.execute(text("SELECT id, name FROM person")).all())

    assert compared(program).times == {"alembic upgrade on SQLite": ROUNDS - LEARNT}


@pytest.mark.parametrize(
    ("statement", "imports"),
    [
        ("INSERT INTO note VALUES (CURRENT_TIMESTAMP)", ""),
        ("INSERT INTO note VALUES ('{}')\".format(datetime.now()) + \"", "from datetime import *"),
        ("INSERT INTO note VALUES ('{}')\".format(uuid.uuid4()) + \"", "import uuid"),
        ("INSERT INTO note VALUES (random())", ""),
    ],
)
def test_rows_that_are_others_each_time_are_made_each_time(
    tmp_path: Path, statement: str, imports: str
) -> None:
    chain = Chain(tmp_path)
    chain.add(f'op.execute("CREATE TABLE note (body)")\nop.execute("{statement}")', imports=imports)

    def program(trial: Trial) -> None:
        config = chain.config()
        with trial.engine.connect() as config.attributes["connection"]:
            command.upgrade(config, "head")
        with trial.engine.begin() as connection:
            bodies.append(connection.execute(text("SELECT body FROM note")).scalar_one())
            connection.execute(text("DELETE FROM note"))

    bodies: list[str] = []
    counts = compared(program)

    assert counts.times == {}
    assert counts.reasons <= {
        "rows with the time at which they were made",
        "migrations that come to something else each time",
    }
    if "uuid" in statement or "random" in statement:
        assert len(set(bodies)) == 2 * ROUNDS


def test_migrations_that_change_in_mid_run(chain: Chain) -> None:
    def program(trial: Trial) -> None:
        length = 1 + trial.number // 3
        chain.rewrite(3, f'op.add_column("person", sa.Column("age", sa.String({length})))')
        sharing(chain, ("upgrade", "head"))(trial)

    assert compared(program).times == {"alembic upgrade on SQLite": 1}


def test_a_transaction_that_is_rolled_back(chain: Chain) -> None:
    def program(trial: Trial) -> None:
        config = chain.config()
        with trial.engine.connect() as connection:
            transaction = connection.begin()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
            transaction.rollback()
        trial.look()

    assert compared(program).times == {"alembic upgrade on SQLite": ROUNDS - LEARNT}


@pytest.mark.parametrize("audit", [False, True])
def test_several_commands_in_one_transaction(chain: Chain, audit: bool) -> None:
    def program(trial: Trial) -> None:
        config = chain.config()
        with trial.engine.connect() as connection:
            config.attributes["connection"] = connection
            for is_kept in (True, False):
                transaction = connection.begin()
                for name, revision in (("upgrade", "head"), ("downgrade", "r1"), ("upgrade", "r2")):
                    getattr(command, name)(config, revision)
                    connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
                    rows = connection.execute(text("SELECT * FROM person")).all()
                    trial.seen.append([*rows, connection.in_transaction()])
                if is_kept:
                    transaction.commit()
                else:
                    transaction.rollback()
                trial.look()

    counts = compared(program, audit=audit)

    assert counts.times["alembic upgrade on SQLite"] > ROUNDS
    assert counts.reasons == set()


def test_rows_of_tests_do_not_hinder_what_ignores_them(chain: Chain, tmp_path: Path) -> None:
    def new_engine(number: int) -> Engine:
        return create_engine(f"sqlite:///{tmp_path}/{number}.db")

    def program(trial: Trial) -> None:
        config = chain.config(trial.engine)
        command.upgrade(config, "r2")
        trial.insert(len(trial.seen) + trial.number)
        command.upgrade(config, "r2")
        trial.look()
        command.downgrade(config, "base")
        trial.look()

    counts = compared(program, new_engine)

    assert counts.times["alembic upgrade on SQLite"] == ROUNDS - LEARNT
    assert counts.times["alembic upgrade on SQLite, nothing to do"] == ROUNDS - LEARNT
    assert counts.times["alembic downgrade on SQLite"] == ROUNDS - LEARNT


def test_rows_that_a_migration_reads_decide(chain: Chain) -> None:
    chain.add(
        'count = op.get_bind().execute(sa.text("SELECT count(*) FROM person")).scalar()\n'
        'op.add_column("person", sa.Column(f"seen_{count}", sa.Integer))'
    )

    def program(trial: Trial) -> None:
        sharing(chain, ("upgrade", "r3"))(trial)
        for _ in range(trial.number % 3):
            trial.insert(1)
        sharing(chain, ("upgrade", "head"))(trial)

    compared(program)


def test_foreign_keys_that_forbid_a_downgrade(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.add(
        'op.execute("CREATE TABLE person (id INTEGER PRIMARY KEY)")\n'
        'op.execute("CREATE TABLE purchase (other INTEGER REFERENCES person (id))")',
        'op.drop_table("person")\nop.drop_table("purchase")',
    )

    def program(trial: Trial) -> None:
        sharing(chain, ("upgrade", "head"))(trial)
        with trial.engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            if trial.number == 4:
                connection.exec_driver_sql("INSERT INTO person (id) VALUES (1)")
                connection.exec_driver_sql("INSERT INTO purchase (other) VALUES (1)")
        try:
            sharing(chain, ("downgrade", "base"))(trial)
        except IntegrityError as error:
            trial.look(str(error.orig))

    compared(program)


@pytest.mark.parametrize(
    ("imports", "reason"),
    [
        ("import os", "imports os"),
        ("from unittest import mock", "imports unittest"),
        ("from alembic import context", "asks for Alembic's configuration"),
        ("def asks(): return open('/dev/null')", "says 'open('"),
    ],
)
def test_what_asks_for_more_than_the_database(chain: Chain, imports: str, reason: str) -> None:
    chain.add("pass", imports=imports)

    counts = compared(sharing(chain, ("upgrade", "head")))

    assert counts.times == {}
    assert counts.reasons == {f"the migration r4_change.py, which {reason}"}


ENV_WITH = {
    "a function that is called for each migration": "on_version_apply=lambda **values: None",
    "the option own of context.configure": "own=1",
    "a version table in a schema of its own": "version_table_schema='main'",
}


@pytest.mark.parametrize("reason", ENV_WITH)
def test_what_an_env_py_asks_for_that_cannot_be_compared(chain: Chain, reason: str) -> None:
    chain.change_env("render_as_batch=True", ENV_WITH[reason])

    counts = compared(sharing(chain, ("upgrade", "head")))

    assert counts.reasons == {reason}
    assert counts.times == {}


def test_a_version_table_of_another_name(chain: Chain) -> None:
    chain.change_env("render_as_batch=True", "version_table='steps', compare_type=False")

    counts = compared(sharing(chain, ("upgrade", "head"), ("downgrade", "base")))

    assert counts.times["alembic upgrade on SQLite"] == ROUNDS - LEARNT


def test_statements_that_are_only_written_down(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    def program(trial: Trial) -> None:
        command.upgrade(chain.config(), "head", sql=True)
        written.append(capsys.readouterr().out)

    counts = compared(program)

    assert counts.reasons == {"statements that are only written down"}
    assert len(set(written)) == 1


def test_a_migration_that_cannot_be_only_written_down(chain: Chain) -> None:
    chain.add('op.get_bind().execute("SELECT 1").scalar()')

    def program(trial: Trial) -> None:
        with pytest.raises(AttributeError) as caught:
            command.upgrade(chain.config(), "head", sql=True)
        assert caught.value.__context__ is None

    counts = compared(program)

    assert counts.reasons == {"statements that are only written down"}


def test_env_py_runs_each_time(chain: Chain) -> None:
    chain.change_env("def run(", "context.config.attributes['ran'].append(1)\n\ndef run(")
    ran: list[int] = []

    def program(trial: Trial) -> None:
        config = chain.config()
        config.attributes["ran"] = ran
        with trial.engine.begin() as config.attributes["connection"]:
            command.upgrade(config, "head")

    assert compared(program).times == {"alembic upgrade on SQLite": ROUNDS - LEARNT}
    assert len(ran) == 2 * ROUNDS


def test_stamp_beside_create_all(chain: Chain) -> None:
    metadata = MetaData()
    Table("person", metadata, Column("id", Integer, primary_key=True), Column("name", String(9)))

    def program(trial: Trial) -> None:
        metadata.create_all(trial.engine)
        trial.insert(trial.number)
        sharing(chain, ("stamp", "head"), ("stamp", "r1"))(trial)

    assert compared(program).times["alembic stamp on SQLite"] == 2 * (ROUNDS - LEARNT)


def test_loops_of_each_test(chain: Chain) -> None:
    def program(trial: Trial) -> None:
        async def one_test() -> object:
            engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
                await connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
            async with engine.connect() as connection:
                rows = (await connection.execute(text("SELECT * FROM person"))).all()
                versions = (await connection.execute(text("SELECT * FROM alembic_version"))).all()
            await engine.dispose()
            return rows, versions

        def upgrade(connection: Connection) -> None:
            config = chain.config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

        trial.seen.append(asyncio.run(one_test()))

    assert compared(program).times == {"alembic upgrade on SQLite": ROUNDS - LEARNT}


def test_a_migration_that_fails(chain: Chain) -> None:
    chain.add('op.drop_table("nobody")')

    def program(trial: Trial) -> None:
        with pytest.raises(OperationalError, match="no such table"):
            sharing(chain, ("upgrade", "head"))(trial)
        trial.look()

    assert compared(program).times == {}


@pytest.mark.parametrize("audit", [True, False])
def test_a_difference_that_is_found(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audit: bool
) -> None:
    memoising = Memoising(SAMPLED, audit=audit)
    memoising.put_up()
    try:
        for number in range(ROUNDS):
            if number == LEARNT:
                monkeypatch.setattr(Image, "content", lambda image: {})
            config = chain.config(create_engine(f"sqlite:///{tmp_path}/{number}.db"))
            fails = audit and number == LEARNT
            with pytest.raises(IsolationError, match="differs") if fails else nullcontext():
                command.upgrade(config, "head")
    finally:
        memoising.take_down()
    counts = Counts(memoising)

    assert counts.times == {"alembic upgrade on SQLite": 1}
    assert [one.operation for one in counts.differences] == ["alembic upgrade on SQLite"]
    assert counts.reasons == {"a difference that was found earlier in the run"}


def test_afterwards_the_method_is_alembics_own() -> None:
    before = MigrationContext.run_migrations
    memoising = Memoising(NEVER_SAMPLED, audit=False)
    memoising.put_up()
    assert MigrationContext.run_migrations is not before
    memoising.take_down()

    assert MigrationContext.run_migrations is before
