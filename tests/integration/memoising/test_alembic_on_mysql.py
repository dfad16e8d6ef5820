"""Memoised migrations on MariaDB: every program ends as it does without."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Column, Connection, Integer, MetaData, Table, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memoised import ROUNDS, Compared, Program, Trial
from memoised_mysql import NUMBERS
from migrating import LEARNT, Chain
from pytest_slipstream.databases.memoising.alembic.turns import Turn
from pytest_slipstream.databases.urls import url

ON = "on MySQL or MariaDB"
UPGRADE, DOWNGRADE, STAMP = (f"alembic {name} {ON}" for name in ("upgrade", "downgrade", "stamp"))


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Migrations that leave rows, so that their statements are sent again."""
    made = Chain(tmp_path)
    made.add_table("person")
    made.add_table("purchase", "person")
    made.add(
        "op.execute(\"ALTER TABLE person ADD mood enum('good', 'bad')\")\n"
        "op.execute(\"INSERT INTO person (name) VALUES ('100%'), ('Eve')\")",
        'op.drop_column("person", "mood")',
    )
    return made


@pytest.fixture
def bare(tmp_path: Path) -> Chain:
    """Migrations that leave no rows, so that the tables stay."""
    made = Chain(tmp_path)
    made.add_table("person")
    made.add_table("purchase", "person")
    made.add('op.create_index("by_name", "person", ["name"])', 'op.drop_index("by_name", "person")')
    return made


def migrate(chain: Chain, trial: Trial, *steps: tuple[str, str]) -> None:
    """Commands over a connection each, which is committed in the end."""
    for name, revision in steps:
        with trial.engine.begin() as connection:
            migrate_by(chain, connection, name, revision)


def migrate_by(chain: Chain, connection: Connection, name: str, revision: str) -> None:
    config = chain.config()
    config.attributes["connection"] = connection
    getattr(command, name)(config, revision)


def test_statements_are_sent_again(compared_on_mysql: Compared, chain: Chain) -> None:
    def program(trial: Trial) -> None:
        migrate(chain, trial, ("upgrade", "head"))
        trial.execute("INSERT INTO person (name) VALUES ('Ada')")
        trial.look()
        migrate(chain, trial, ("downgrade", "base"))
        trial.look()

    counts = compared_on_mysql(lambda: program)

    assert counts.reasons == set()
    # The first time there is no version table yet.
    assert counts.times == {UPGRADE: ROUNDS - LEARNT - 1, DOWNGRADE: ROUNDS - LEARNT}


def test_commands_of_an_engine_of_env_pys_own(compared_on_mysql: Compared, chain: Chain) -> None:
    steps = (
        *(("upgrade", "head"), ("upgrade", "head"), ("downgrade", "r1"), ("upgrade", "+1")),
        *(("stamp", "head"), ("downgrade", "-1"), ("stamp", "r1")),
    )

    def program(trial: Trial) -> None:
        config = chain.config()
        where = url(trial.address, driver="pymysql").replace("%", "%%")
        config.set_main_option("sqlalchemy.url", where)
        for name, revision in steps:
            try:
                getattr(command, name)(config, revision)
            except Exception as error:  # noqa: BLE001 - a column that is gone: the same each time
                trial.seen.append(str(error))
            trial.look(name)
        trial.execute("DROP TABLE IF EXISTS purchase, person, alembic_version")

    counts = compared_on_mysql(lambda: program)

    assert counts.reasons == set()
    assert counts.times[UPGRADE] >= ROUNDS - LEARNT
    assert counts.times[f"{UPGRADE}, nothing to do"] == ROUNDS - LEARNT
    assert counts.times[STAMP] >= ROUNDS - LEARNT


def in_turns(
    chain: Chain,
    change: Callable[[Trial, int], None] = lambda trial, number: None,
    between: Callable[[Trial, int], None] = lambda trial, number: None,
) -> Program:
    rounds = iter(range(ROUNDS))

    def program(trial: Trial) -> None:
        number = next(rounds)
        migrate(chain, trial, ("upgrade", "head"))
        trial.look("upgraded")
        trial.execute(f"INSERT INTO person (name) {NUMBERS}")
        trial.execute("INSERT INTO purchase (other) VALUES (1)")
        change(trial, number)
        migrate(chain, trial, ("downgrade", "base"))
        between(trial, number)

    return program


def dropping(statement: str) -> bool:
    return statement.lstrip().startswith("DROP TABLE")


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that statements of the application's own have dropped."""
    import pymysql

    found: list[str] = []
    original = pymysql.cursors.Cursor._query  # type: ignore[attr-defined]

    def query(cursor: object, statement: str) -> object:
        if isinstance(statement, str) and dropping(statement):
            found.append(statement)
        return original(cursor, statement)

    monkeypatch.setattr(pymysql.cursors.Cursor, "_query", query)
    return found


def test_tables_stay(compared_on_mysql: Compared, bare: Chain, dropped: list[str]) -> None:
    counts = compared_on_mysql(lambda: in_turns(bare))

    assert counts.times == {UPGRADE: ROUNDS - LEARNT - 1, DOWNGRADE: ROUNDS - LEARNT}
    # Two tables each time; memoised, until the two commands are known and were done once more.
    assert len(dropped) == 2 * (ROUNDS + LEARNT + 1)


def test_tables_that_stay_are_audited(
    compared_on_mysql: Compared, bare: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[dict[str, str]] = []
    rehearse = Turn.rehearse

    def noted(turn: Turn) -> dict[str, str]:
        rehearsed.append(rehearse(turn))
        return rehearsed[-1]

    monkeypatch.setattr(Turn, "rehearse", noted)
    counts = compared_on_mysql(lambda: in_turns(bare), audit=True)

    assert len(rehearsed) == ROUNDS - LEARNT - 2
    assert counts.checked == ROUNDS - LEARNT


def look_by_a_process(trial: Trial) -> None:
    address = trial.address
    program = (
        "import sys, pymysql\n"
        "cursor = pymysql.connect(unix_socket=sys.argv[1], user=sys.argv[2],\n"
        "    database=sys.argv[3]).cursor()\n"
        "cursor.execute('SHOW TABLES')\n"
        "print(cursor.fetchall())"
    )
    where = [address.socket, address.user, address.database]
    trial.seen.append(subprocess.check_output([sys.executable, "-c", program, *where]))


def look_by_versions(trial: Trial) -> None:
    with trial.engine.connect() as connection:
        trial.seen.append(connection.execute(text("SELECT * FROM alembic_version")).all())
        trial.seen.append(connection.execute(text("SHOW TABLES")).all())


def create_beside(trial: Trial) -> None:
    metadata = MetaData()
    Table("person", metadata, Column("number", Integer, primary_key=True))
    metadata.create_all(trial.engine)
    trial.look()
    metadata.drop_all(trial.engine)


def stamp_beside(trial: Trial) -> None:
    trial.execute("INSERT INTO alembic_version VALUES ('r2')")
    trial.look()
    trial.execute("DELETE FROM alembic_version")


BETWEEN = (look_by_a_process, look_by_versions, create_beside, stamp_beside)


@pytest.mark.parametrize("look", BETWEEN)
def test_whoever_looks_after_the_downgrade_finds_no_tables(
    compared_on_mysql: Compared, bare: Chain, look: Callable[[Trial], None]
) -> None:
    def between(trial: Trial, number: int) -> None:
        if number == ROUNDS - 2:
            look(trial)

    counts = compared_on_mysql(lambda: in_turns(bare, between=between))
    assert counts.times[DOWNGRADE] == ROUNDS - LEARNT


CHANGES = (
    "ALTER TABLE person ADD age integer",
    "CREATE TABLE beside (id integer)",
    "UPDATE alembic_version SET version_num = 'r2'",
    "CREATE TRIGGER shout BEFORE DELETE ON person FOR EACH ROW DELETE FROM purchase",
    "DROP INDEX by_name ON person",
    "ALTER TABLE person AUTO_INCREMENT = 5000",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_a_change_of_a_tests_own_hinders_it(
    compared_on_mysql: Compared, bare: Chain, statement: str
) -> None:
    def change(trial: Trial, number: int) -> None:
        if number == ROUNDS - 2:
            trial.execute(statement)
        trial.look()

    compared_on_mysql(lambda: in_turns(bare, change, lambda trial, number: trial.look()))


def test_a_transaction_that_is_rolled_back(compared_on_mysql: Compared, bare: Chain) -> None:
    """Definitions have committed themselves by then, and the last version has not."""

    def change(trial: Trial, number: int) -> None:
        for name, revision in (("downgrade", "base"), ("upgrade", "head")):
            with trial.engine.connect() as connection:
                transaction = connection.begin()
                migrate_by(bare, connection, name, revision)
                transaction.rollback()
            trial.look(name)
            trial.execute("DROP TABLE IF EXISTS purchase, person", "DELETE FROM alembic_version")
            migrate(bare, trial, ("upgrade", "head"))

    def both(trial: Trial, number: int) -> None:
        if number % 2:
            change(trial, number)

    compared_on_mysql(lambda: in_turns(bare, both))


def test_a_downgrade_that_is_rolled_back_while_tables_stay(
    compared_on_mysql: Compared, bare: Chain
) -> None:
    def make() -> Program:
        rounds = iter(range(ROUNDS))

        def program(trial: Trial) -> None:
            migrate(bare, trial, ("upgrade", "head"))
            with trial.engine.connect() as connection:
                transaction = connection.begin()
                migrate_by(bare, connection, "downgrade", "base")
                if next(rounds) == ROUNDS - 1:
                    transaction.rollback()
                else:
                    transaction.commit()

        return program

    compared_on_mysql(make)


def test_several_commands_in_one_transaction(compared_on_mysql: Compared, bare: Chain) -> None:
    def program(trial: Trial) -> None:
        with trial.engine.begin() as connection:
            for name, revision in (("upgrade", "head"), ("downgrade", "base"), ("upgrade", "r1")):
                migrate_by(bare, connection, name, revision)
        trial.look()
        migrate(bare, trial, ("downgrade", "base"))

    counts = compared_on_mysql(lambda: program)
    assert counts.reasons == {"an open transaction"}


def test_what_goes_to_another_database(compared_on_mysql: Compared, bare: Chain) -> None:
    """It is sent again, and no tables stay."""
    bare.add(
        'name = op.get_bind().engine.url.database + "_b"\n'
        'op.execute(f"CREATE DATABASE {name}")\nop.execute(f"CREATE TABLE {name}.t (id integer)")',
        'op.execute(f"DROP DATABASE {op.get_bind().engine.url.database}_b")',
    )

    def between(trial: Trial, number: int) -> None:
        with trial.engine.connect() as connection:
            found = connection.execute(text("SHOW DATABASES LIKE '%\\_b'")).all()
        trial.seen.append(len(found))

    assert compared_on_mysql(lambda: in_turns(bare, between=between)).times[DOWNGRADE] > 0


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_loops_of_each_test(compared_on_mysql: Compared, bare: Chain, driver: str) -> None:
    def program(trial: Trial) -> None:
        async def one_test() -> list[object]:
            engine = create_async_engine(url(trial.address, driver=driver), poolclass=NullPool)
            async with engine.begin() as connection:
                await connection.run_sync(run, "upgrade", "head")
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
                rows = list((await connection.execute(text("SELECT * FROM person"))).all())
            async with engine.begin() as connection:
                await connection.run_sync(run, "downgrade", "base")
            await engine.dispose()
            return rows

        def run(connection: Connection, name: str, revision: str) -> None:
            migrate_by(bare, connection, name, revision)

        trial.seen.append(asyncio.run(one_test()))

    assert compared_on_mysql(lambda: program).times == {
        UPGRADE: ROUNDS - LEARNT - 1,
        DOWNGRADE: ROUNDS - LEARNT,
    }


def test_rows_that_a_migration_reads_decide(compared_on_mysql: Compared, chain: Chain) -> None:
    chain.add(
        'count = op.get_bind().execute(sa.text("SELECT count(*) FROM person")).scalar()\n'
        'op.add_column("person", sa.Column(f"seen_{count}", sa.Integer))'
    )
    numbers = iter([0, 0, 0, 0, 1, 2] * 2)

    def program(trial: Trial) -> None:
        migrate(chain, trial, ("upgrade", "r3"))
        for _ in range(next(numbers)):
            trial.execute("INSERT INTO person (name) VALUES ('Ada')")
        migrate(chain, trial, ("upgrade", "head"))
        trial.look()
        trial.execute("DROP TABLE purchase, person, alembic_version")

    compared_on_mysql(lambda: program)


REASONS = {
    "op.execute(f\"INSERT INTO person (name) VALUES ('{str(uuid.uuid4())[:8]}')\")": (
        "migrations that come to something else each time"
    ),
    "op.execute(f\"INSERT INTO person (name) VALUES ('{datetime.now():%Y%m%d}')\")": (
        "rows with the time at which they were made"
    ),
    'try:\n    op.execute("DROP TABLE nobody")\nexcept Exception:\n    pass': (
        "a migration with a statement that fails"
    ),
}


@pytest.mark.parametrize("source", REASONS)
def test_what_is_as_written_each_time(
    compared_on_mysql: Compared, bare: Chain, source: str
) -> None:
    bare.add(source, imports="import uuid\nfrom datetime import datetime")

    def program(trial: Trial) -> None:
        migrate(bare, trial, ("upgrade", "head"))
        trial.execute("DELETE FROM person")
        migrate(bare, trial, ("downgrade", "base"))

    counts = compared_on_mysql(lambda: program)

    assert UPGRADE not in counts.times
    assert counts.reasons == {REASONS[source]}


def test_migrations_that_change_while_tables_stay(compared_on_mysql: Compared, bare: Chain) -> None:
    def write(kind: str) -> None:
        bare.rewrite(
            2,
            f'op.create_table("purchase", sa.Column("other", sa.{kind}))',
            'op.drop_table("purchase")',
        )

    def make() -> Program:
        write("Integer")
        return in_turns(
            bare, lambda trial, number: write("BigInteger") if number == ROUNDS - 2 else None
        )

    compared_on_mysql(make)
