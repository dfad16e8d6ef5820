"""Memoised ``create_all`` and ``drop_all`` on MariaDB: every program ends as it does without.

There a drop is put off until somebody looks, so most programs here look in their own way.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pymysql
import pytest
from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memoised import (
    MADE,
    NEVER_SAMPLED,
    ROUNDS,
    Compared,
    Counts,
    NewDatabase,
    Program,
    Trial,
)
from memoised_mysql import NUMBERS, MysqlTrial, table_names
from pytest_slipstream.databases.engines.mysql.sessions import Session
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.memoising.mysql import place as mysql_place
from pytest_slipstream.databases.memoising.mysql.claims import Claims
from pytest_slipstream.databases.urls import url


def shop() -> MetaData:
    metadata = MetaData()
    Table(
        "person",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(9), comment="as on the passport"),
        CheckConstraint("name <> ''"),
        comment="somebody",
        mysql_charset="latin1",
    )
    Table(
        "purchase",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("person_id", ForeignKey("person.id", ondelete="CASCADE"), index=True),
        Column("state", Enum("open", "paid", name="state")),
        mysql_auto_increment="100",
    )
    return metadata


def nothing(trial: Trial) -> None:
    """A test that does nothing more."""


def for_each_test(
    metadata: MetaData,
    inside: Callable[[Trial], None] = nothing,
    between: Callable[[Trial], None] = nothing,
    rounds: tuple[int, ...] = tuple(range(ROUNDS)),
) -> Program:
    """A test between create_all and drop_all.

    Args:
        metadata: What is made and dropped.
        inside: What else the test does.
        between: What is done when the tables are dropped.
        rounds: The times when those two are done.
    """
    numbers = iter(range(ROUNDS))

    def program(trial: Trial) -> None:
        number = next(numbers)
        metadata.create_all(trial.engine)
        with trial.engine.begin() as connection:
            connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
            connection.execute(insert(metadata.tables["purchase"]).values(person_id=1))
            rows = connection.execute(text("SELECT * FROM purchase")).all()
        trial.seen.append(rows)
        if number in rounds:
            inside(trial)
        metadata.drop_all(trial.engine)
        if number in rounds:
            between(trial)

    return program


@pytest.mark.parametrize("audit", [False, True])
def test_create_and_drop_for_each_test_are_restored(
    compared_on_mysql: Compared, audit: bool
) -> None:
    counts = compared_on_mysql(lambda: for_each_test(shop()), audit=audit)

    # In an audit each drop is done in the end, so as to make the tables the slow way, too.
    assert counts.replaced == {"create_all": ROUNDS - MADE, "drop_all": ROUNDS - MADE + 1}
    assert counts.reasons == set()
    assert bool(counts.checked) == audit


def look_by_sqlalchemy(trial: Trial) -> None:
    trial.seen.append(inspect(trial.engine).get_table_names())


def look_by_the_driver(trial: Trial) -> None:
    address = trial.address
    with (
        pymysql.connect(unix_socket=address.socket, user=address.user) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s",
            (address.database,),
        )
        trial.seen.append(cursor.fetchall())


_COUNTS = """
import sys, pymysql
connection = pymysql.connect(unix_socket=sys.argv[1], user=sys.argv[2], database=sys.argv[3])
cursor = connection.cursor()
cursor.execute("SHOW TABLES")
print(cursor.fetchall())
"""


def look_by_a_process(trial: Trial) -> None:
    address = trial.address
    command = [sys.executable, "-c", _COUNTS, address.socket, address.user, address.database]
    trial.seen.append(subprocess.run(command, check=True, capture_output=True).stdout)


def look_by_a_fork(trial: Trial) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            engine = create_engine(trial.engine.url, poolclass=NullPool)
            code = 10 + len(inspect(engine).get_table_names())
        finally:
            os._exit(code)
    trial.seen.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def look_by_a_thread(trial: Trial) -> None:
    thread = threading.Thread(target=look_by_the_driver, args=(trial,))
    thread.start()
    thread.join()


def look_by_asyncmy(trial: Trial) -> None:
    trial.seen.append(asyncio.run(_tables(trial, "asyncmy")))


def look_by_aiomysql(trial: Trial) -> None:
    trial.seen.append(asyncio.run(_tables(trial, "aiomysql")))


async def _tables(trial: Trial, driver: str) -> object:
    engine = create_async_engine(url(trial.address, driver=driver), poolclass=NullPool)
    async with engine.connect() as connection:
        return (await connection.execute(text("SHOW TABLES"))).all()


def write_by_sql(trial: Trial) -> None:
    """A table with a name of the schema's, which is free now."""
    trial.execute("CREATE TABLE person (name integer)")
    trial.look()
    trial.execute("DROP TABLE person")


LOOKS = (
    look_by_sqlalchemy,
    look_by_the_driver,
    look_by_a_process,
    look_by_a_fork,
    look_by_a_thread,
    look_by_asyncmy,
    look_by_aiomysql,
    write_by_sql,
)


@pytest.mark.parametrize("look", LOOKS)
def test_whoever_looks_after_the_drop_finds_no_tables(
    compared_on_mysql: Compared, look: Callable[[Trial], None]
) -> None:
    counts = compared_on_mysql(lambda: for_each_test(shop(), between=look, rounds=(MADE,)))

    assert counts.replaced["drop_all"] == ROUNDS - MADE + 1
    assert counts.replaced["create_all"] == ROUNDS - MADE - 1


def test_nothing_is_put_off_where_somebody_always_looks(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            for _ in range(3):
                metadata.create_all(trial.engine)
                metadata.drop_all(trial.engine)
                trial.look()

        return program

    counts = compared_on_mysql(make)
    assert counts.reasons == {"tables that are looked for between being dropped and made again"}


CHANGES = (
    "ALTER TABLE person ADD COLUMN age integer",
    "ALTER TABLE person ALTER COLUMN name SET DEFAULT 'Bob'",
    "ALTER TABLE person MODIFY name varchar(9) NOT NULL",
    "ALTER TABLE person COMMENT 'someone'",
    "ALTER TABLE person AUTO_INCREMENT = 50",
    "ALTER TABLE purchase DROP FOREIGN KEY purchase_ibfk_1",
    "ALTER TABLE purchase ENGINE = MyISAM",
    "RENAME TABLE purchase TO bought",
    "CREATE INDEX by_name ON person (name)",
    "CREATE VIEW names AS SELECT name FROM person",
    "CREATE TABLE raw (id integer)",
    "CREATE TRIGGER shout BEFORE INSERT ON person FOR EACH ROW SET NEW.name = upper(NEW.name)",
    "CREATE FUNCTION one() RETURNS integer RETURN 1",
    "CREATE EVENT later ON SCHEDULE AT '2099-01-01' DO DELETE FROM person",
    "CREATE SEQUENCE numbers",
    "ALTER DATABASE CHARACTER SET latin1",
    "DROP TABLE purchase",
    "TRUNCATE purchase",
    "CREATE TEMPORARY TABLE person (id integer)",
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_test_changes_by_itself(compared_on_mysql: Compared, change: str) -> None:
    def inside(trial: Trial) -> None:
        trial.execute(change)
        trial.look()

    def between(trial: Trial) -> None:
        trial.look()
        trial.execute(
            "DROP TABLE IF EXISTS raw, bought",
            "DROP VIEW IF EXISTS names",
            "DROP SEQUENCE IF EXISTS numbers",
            "DROP EVENT IF EXISTS later",
            "DROP FUNCTION IF EXISTS one",
        )

    counts = compared_on_mysql(lambda: for_each_test(shop(), inside, between, rounds=(MADE,)))

    assert counts.replaced["drop_all"] > 0


def test_what_a_test_writes(compared_on_mysql: Compared) -> None:
    """Rows, numbers that were given and taken back, and what a foreign key's action removes."""

    def inside(trial: Trial) -> None:
        trial.execute(f"INSERT INTO person (name) {NUMBERS}")
        trial.execute("DELETE FROM person WHERE id = 1")
        with trial.engine.connect() as connection:
            connection.execute(text("INSERT INTO purchase (person_id) VALUES (5)"))
            connection.rollback()

    def make() -> Program:
        metadata = shop()
        once = for_each_test(metadata, inside)

        def program(trial: Trial) -> None:
            once(trial)
            metadata.create_all(trial.engine)
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    assert compared_on_mysql(make).replaced["create_all"] > ROUNDS


@pytest.mark.parametrize(
    "seldom",
    [
        "INSERT INTO purchase (state) VALUES ('open'); COMMIT",
        "INSERT INTO purchase (state) VALUES ('open')",
        "ALTER TABLE purchase AUTO_INCREMENT = 700",
        "ALTER TABLE purchase ADD COLUMN more integer",
    ],
)
def test_a_test_that_writes_among_many_that_do_not(
    compared_on_mysql: Compared, seldom: str
) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            for number in range(8):
                metadata.create_all(trial.engine)
                with trial.engine.connect() as connection:
                    trial.seen.append(connection.execute(text("SELECT * FROM purchase")).all())
                    for statement in seldom.split("; ") if number == 5 else ():
                        connection.execute(text(statement))
                if number == 6:
                    trial.look()
                metadata.drop_all(trial.engine)

        return program

    assert compared_on_mysql(make).replaced["drop_all"] > ROUNDS * 5


def test_triggers_views_and_routines_that_are_made_after_the_tables(
    compared_on_mysql: Compared,
) -> None:
    def make() -> Program:
        metadata = shop()
        for name, statement in (
            ("after_create", "CREATE VIEW names AS SELECT name FROM person"),
            ("after_create", "CREATE FUNCTION one() RETURNS integer RETURN 1"),
            (
                "after_create",
                "CREATE TRIGGER shout BEFORE DELETE ON person FOR EACH ROW "
                "INSERT INTO purchase (state) VALUES ('open')",
            ),
            ("before_drop", "DROP VIEW IF EXISTS names"),
            ("after_drop", "DROP FUNCTION IF EXISTS one"),
        ):
            event.listen(metadata, name, DDL(statement))
        return for_each_test(metadata, lambda trial: trial.look())

    assert compared_on_mysql(make).replaced["create_all"] == ROUNDS - MADE


def test_a_transaction_is_committed_as_ddl_commits_it(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            trial.execute("CREATE TABLE IF NOT EXISTS log (id integer)")
            with trial.engine.connect() as connection:
                connection.execute(text("INSERT INTO log VALUES (1)"))
                metadata.create_all(connection)
                connection.rollback()
                connection.execute(text("INSERT INTO log VALUES (2)"))
                connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
                metadata.drop_all(connection)
                connection.rollback()
                connection.execute(text("INSERT INTO log VALUES (3)"))
                metadata.drop_all(connection)
                connection.rollback()

        def logged(trial: Trial) -> None:
            program(trial)
            trial.look()

        return logged

    compared_on_mysql(make)


def test_a_transaction_that_is_committed_by_what_is_put_off(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            metadata.create_all(trial.engine)
            with trial.engine.connect() as connection:
                connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                metadata.drop_all(connection)
                metadata.create_all(connection)
                connection.execute(insert(metadata.tables["person"]).values(name="Bob"))
                metadata.create_all(connection)
                connection.rollback()
            with trial.engine.connect() as connection:
                trial.seen.append(connection.execute(text("SELECT * FROM person")).all())
            metadata.drop_all(trial.engine)

        return program

    assert compared_on_mysql(make).replaced["create_all"] > ROUNDS


CLAIMS = {
    "temporary tables": (
        "CREATE TEMPORARY TABLE person (x integer)",
        "DROP TEMPORARY TABLE person",
    ),
    "those of a procedure": ("CALL claim()", "DROP TEMPORARY TABLE person"),
    "locks": ("LOCK TABLES mysql.proc READ", "UNLOCK TABLES"),
}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("operation", ["create_all", "drop_all"])
def test_a_session_that_has_claims_on_tables(
    compared_on_mysql: Compared, claim: str, operation: str
) -> None:
    """It had none before, and is asked anew."""

    def make() -> Program:
        metadata, rounds = shop(), itertools.count()

        def program(trial: Trial) -> None:
            this = next(rounds)
            if this == 0:
                trial.execute(f"CREATE PROCEDURE claim() {CLAIMS['temporary tables'][0]}")
            with trial.engine.connect() as connection:
                for name in ("create_all", "drop_all"):
                    claims = CLAIMS[claim] if (this, name) == (ROUNDS - 2, operation) else ()
                    for statement in claims[:1]:
                        connection.execute(text(statement))
                    try:
                        getattr(metadata, name)(connection)
                    except OperationalError as error:
                        trial.seen.append(error.orig and error.orig.args[0])
                    for statement in claims[1:]:
                        connection.execute(text(statement))
            if this >= ROUNDS - 2:
                trial.look()

        return program

    counts = compared_on_mysql(make)
    assert counts.reasons == {"a session that has made temporary tables, or locked tables"}
    assert counts.replaced["create_all"] > 0


def test_a_temporary_table_where_all_others_are_dropped_already(
    compared_on_mysql: Compared,
) -> None:
    def make() -> Program:
        metadata, rounds = shop(), itertools.count()

        def program(trial: Trial) -> None:
            this = next(rounds)
            with trial.engine.connect() as connection:
                metadata.create_all(connection)
                if this == ROUNDS - 1:
                    connection.execute(text(CLAIMS["temporary tables"][0]))
                connection.commit()
                metadata.drop_all(trial.engine)
                metadata.drop_all(connection)
                if this == ROUNDS - 1:
                    connection.execute(text("SELECT x FROM person"))

        return program

    counts = compared_on_mysql(make)
    assert counts.reasons == {"a session that has made temporary tables, or locked tables"}
    assert counts.replaced["drop_all"] > ROUNDS


def test_claims_that_others_make_all_the_time(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        def claim(trial: Trial) -> None:
            with create_engine(url(trial.address), poolclass=NullPool).connect() as other:
                other.execute(text("CREATE TEMPORARY TABLE person (other integer)"))

        return for_each_test(shop(), claim)

    counts = compared_on_mysql(make)
    assert counts.times["create_all on MySQL or MariaDB"] == ROUNDS - MADE
    assert counts.reasons == set()


def test_metadatas_in_one_database_and_one_that_changes(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        one, two = shop(), MetaData()
        Table("other", two, Column("id", Integer, primary_key=True))
        rounds = iter(range(ROUNDS))

        def program(trial: Trial) -> None:
            if next(rounds) == ROUNDS - 1:
                one.tables["person"].append_column(Column("age", Integer))
            one.create_all(trial.engine)
            one.drop_all(trial.engine)
            two.create_all(trial.engine)
            trial.look()
            one.create_all(trial.engine)
            trial.execute("INSERT INTO other VALUES (7)")
            two.drop_all(trial.engine)
            trial.look()
            one.drop_all(trial.engine)

        return program

    compared_on_mysql(make)


def test_tables_of_a_subset(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        metadata = shop()
        person = [metadata.tables["person"]]

        def program(trial: Trial) -> None:
            metadata.create_all(trial.engine, tables=person)
            metadata.drop_all(trial.engine, tables=person)
            metadata.create_all(trial.engine)
            metadata.drop_all(trial.engine, tables=[metadata.tables["purchase"]])
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    compared_on_mysql(make)


def test_a_connection_that_uses_a_table(compared_on_mysql: Compared) -> None:
    """A table that somebody reads cannot be dropped, and so is not taken for dropped."""

    def inside(trial: Trial) -> None:
        with trial.engine.connect() as reader:
            reader.execute(text("SELECT * FROM person"))
            with trial.engine.connect() as connection:
                connection.execute(text("SET lock_wait_timeout = 1"))
                with pytest.raises(Exception, match="Lock wait timeout"):
                    metadata_of(trial).drop_all(connection)
        trial.look()

    metadatas: dict[Trial, MetaData] = {}

    def metadata_of(trial: Trial) -> MetaData:
        return metadatas[trial]

    def make() -> Program:
        metadata = shop()
        each = for_each_test(metadata, inside, rounds=(MADE,))

        def program(trial: Trial) -> None:
            metadatas[trial] = metadata
            each(trial)

        return program

    counts = compared_on_mysql(make)
    assert counts.reasons == {"tables that somebody uses"}


class InterruptedTestError(Exception):
    """What a time limit's signal raises."""


def test_a_signal_that_interrupts_a_drop_leaves_no_lock(new_mysql_database: NewDatabase) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise InterruptedTestError

    memoising = Memoising(NEVER_SAMPLED, audit=False)
    memoising.put_up()
    trial = MysqlTrial(new_mysql_database())
    metadata = shop()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        each = for_each_test(metadata)
        for _ in range(MADE):
            each(trial)
        metadata.create_all(trial.engine)
        with trial.engine.connect() as reader:
            reader.execute(text("SELECT * FROM purchase"))
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            with pytest.raises(InterruptedTestError):
                metadata.drop_all(trial.engine)
        trial.execute("SET lock_wait_timeout = 30", "DELETE FROM purchase")
        each(trial)
        assert trial.content().keys() == {"the database's collation"}
    finally:
        signal.signal(signal.SIGALRM, before)
        memoising.take_down()
        trial.engine.dispose()
    assert Counts(memoising).replaced["drop_all"] > 1


def test_a_session_of_slipstreams_that_is_ended(
    compared_on_mysql: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    class Noted(Session):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            opened.append(int(self.rows("SELECT connection_id()")[0][0]))

    def end_sessions(trial: Trial) -> None:
        with trial.engine.begin() as connection:
            for number in opened:
                with suppress(SQLAlchemyError):  # one that is gone already
                    connection.execute(text(f"KILL {number}"))

    monkeypatch.setattr(mysql_place, "Session", Noted)

    def make() -> Program:
        return for_each_test(shop(), between=end_sessions, rounds=(MADE,))

    assert compared_on_mysql(make).replaced["drop_all"] > 0


def test_a_child_process_may_look_at_any_time(compared_on_mysql: Compared) -> None:
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE):
        counts = compared_on_mysql(lambda: for_each_test(shop(), rounds=()))

    assert counts.replaced == {}
    assert all(reason.startswith("a child process, python") for reason in counts.reasons)


def test_a_connection_that_is_not_known_may_look_at_any_time(
    compared_on_mysql: Compared, new_mysql_database: NewDatabase
) -> None:
    address = new_mysql_database()
    with pymysql.connect(unix_socket=address.socket, user=address.user) as unknown:

        def make() -> Program:
            each = for_each_test(shop(), rounds=())

            def program(trial: Trial) -> None:
                unknown.select_db(trial.address.database)
                each(trial)

            return program

        counts = compared_on_mysql(make)

    assert counts.replaced == {}
    assert counts.reasons == {"a connection of somebody else to the database"}


def test_a_connection_that_is_still_being_made_may_look_later(compared_on_mysql: Compared) -> None:
    """The server has counted it before it says in which database it will be."""
    connect = pymysql.connections.Connection.connect  # memoising does not know who uses this

    def make() -> Program:
        each, rounds = for_each_test(shop(), rounds=()), itertools.count()
        connections: list[Any] = []

        def program(trial: Trial) -> None:
            class Slow(pymysql.connections.Connection):
                def _request_authentication(self) -> None:
                    each(trial)
                    super()._request_authentication()  # type: ignore[misc]

            if next(rounds) != MADE:
                each(trial)
                return
            where = {"unix_socket": trial.address.socket, "user": trial.address.user}
            connections.append(Slow(database=trial.address.database, defer_connect=True, **where))
            connect(connections[0])

        return program

    counts = compared_on_mysql(make)
    assert counts.replaced["drop_all"] > 0
    assert counts.reasons == {"a connection of somebody else to the database"}


class Wrapped:
    """A connection as DB-API 2 has it, and what SQLAlchemy's dialect asks besides."""

    def __init__(self, connection: Any) -> None:
        for name in ("cursor", "commit", "rollback", "close", "character_set_name"):
            setattr(self, name, getattr(connection, name))
        self.get_server_info = connection.get_server_info


def test_a_connection_that_is_no_drivers_own(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        metadata = shop()
        each = for_each_test(metadata)

        def program(trial: Trial) -> None:
            each(trial)
            where = {"unix_socket": trial.address.socket, "user": trial.address.user}
            wrapped = create_engine(
                "mysql+pymysql://",
                creator=lambda: Wrapped(pymysql.connect(database=trial.address.database, **where)),
            )
            metadata.create_all(wrapped)
            trial.look()
            metadata.drop_all(wrapped)
            wrapped.dispose()

        return program

    reasons = compared_on_mysql(make).reasons
    assert len(reasons) == 1
    assert reasons.pop().startswith("the driver ")


def test_a_thread_that_comes_to_another_database(
    compared_on_mysql: Compared, new_mysql_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does so while it is looked up whether a session was here."""
    has_met = Claims.has_met
    in_turn: list[MysqlTrial] = []

    def elsewhere(trial: MysqlTrial) -> None:
        metadata = shop()
        for _ in range(MADE):
            metadata.create_all(trial.engine)
            metadata.drop_all(trial.engine)
        trial.engine.dispose()

    def meanwhile(claims: Claims, session: int) -> bool:
        if in_turn:
            thread = threading.Thread(target=elsewhere, args=(in_turn.pop(),))
            thread.start()
            thread.join()
        return has_met(claims, session)

    def make() -> Program:
        each, rounds = for_each_test(shop()), itertools.count()

        def program(trial: Trial) -> None:
            if next(rounds) == MADE:
                in_turn[:] = [MysqlTrial(new_mysql_database())]
                trial.engine.dispose()  # a session that was nowhere yet is looked up everywhere
            each(trial)

        return program

    monkeypatch.setattr(Claims, "has_met", meanwhile)
    assert compared_on_mysql(make).reasons == set()


def test_a_driver_whose_statements_are_not_seen(
    compared_on_mysql: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", ModuleType("MySQLdb"))

    counts = compared_on_mysql(lambda: for_each_test(shop()))

    assert counts.replaced == {}
    assert counts.reasons == {"the driver MySQLdb, whose statements are not seen"}


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_event_loops_of_each_test(compared_on_mysql: Compared, driver: str) -> None:
    def make() -> Program:
        metadata = shop()

        async def one_test(trial: Trial) -> object:
            engine = create_async_engine(url(trial.address, driver=driver))
            async with engine.begin() as connection:
                await connection.run_sync(metadata.drop_all)
                await connection.run_sync(metadata.create_all)
            async with engine.begin() as connection:
                await connection.execute(insert(metadata.tables["person"]).values(name="Ada"))
                rows = (await connection.execute(text("SELECT * FROM person"))).all()
            await engine.dispose()
            return rows

        return lambda trial: trial.seen.append(asyncio.run(one_test(trial)))

    assert compared_on_mysql(make).replaced["create_all"] >= ROUNDS - MADE


def test_a_process_that_multiprocessing_starts(compared_on_mysql: Compared) -> None:
    def look(trial: Trial) -> None:
        context = multiprocessing.get_context("spawn")
        found = context.Queue()
        where = trial.engine.url.render_as_string(hide_password=False)
        process = context.Process(target=table_names, args=(where, found))
        process.start()
        trial.seen.append(found.get(timeout=60))
        process.join()

    counts = compared_on_mysql(lambda: for_each_test(shop(), between=look, rounds=(MADE,)))

    assert counts.replaced["drop_all"] > 0


def test_two_accounts_in_one_database(compared_on_mysql: Compared) -> None:
    """What the one has dropped, the other does not take for being there."""

    def make() -> Program:
        metadata = shop()

        def program(trial: Trial) -> None:
            account = f"other_{trial.address.database}"
            trial.execute(
                f"CREATE USER IF NOT EXISTS {account}@localhost IDENTIFIED BY 'secret'",
                f"GRANT ALL ON {trial.address.database}.* TO {account}@localhost",
            )
            theirs = create_engine(trial.engine.url.set(username=account, password="secret"))
            metadata.create_all(trial.engine)
            metadata.create_all(theirs)
            metadata.drop_all(trial.engine)
            metadata.create_all(theirs)
            with theirs.begin() as connection:
                connection.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
                trial.seen.append(connection.execute(text("SELECT * FROM person")).all())
            metadata.drop_all(theirs)
            theirs.dispose()

        return program

    assert compared_on_mysql(make).replaced["drop_all"] > 0
