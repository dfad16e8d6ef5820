"""Memoised ``CREATE DATABASE`` and ``DROP DATABASE`` on MariaDB: every program sees what it sees
without.

There a database is put off to be dropped until somebody looks, so most programs here look.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomysql
import asyncmy
import pymysql
import pytest
import sqlalchemy_utils
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from memoised import Counts, NewDatabase, held_to_plain
from pytest_slipstream.databases.engines.mysql import content
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.urls import url
from waiting import until

ROUNDS = 6
NAME = "whole"
CREATE, DROP, NONE, TABLES = (
    f"{operation} on MySQL or MariaDB"
    for operation in ("CREATE DATABASE", "DROP DATABASE", "DROP DATABASE of none", "create_all")
)


def shop() -> MetaData:
    metadata = MetaData()
    Table("person", metadata, Column("id", Integer, primary_key=True), Column("name", String(9)))
    Table("purchase", metadata, Column("id", Integer, primary_key=True))
    Table("line", metadata, Column("purchase_id", ForeignKey("purchase.id"), primary_key=True))
    return metadata


class Program:
    """What a program does over and over, and what it has seen."""

    def __init__(self, server: Address) -> None:
        self.server = server
        self.metadata = shop()
        self.seen: list[object] = []
        self.number = 0
        self.own = self.connect()

    def connect(self, database: str | None = None) -> Any:
        return pymysql.connect(
            unix_socket=self.server.socket,
            user=self.server.user,
            database=database,
            ssl_disabled=True,
            autocommit=True,
        )

    def url(self, driver: str = "pymysql", database: str = NAME) -> str:
        values = {name: getattr(self.server, name) for name in self.server.__struct_fields__}
        made = url(Address(**(values | {"database": database})), driver=driver)
        return f"{made}&ssl_disabled=1" if driver == "pymysql" else made

    def sql(self, *statements: str, over: Any = None) -> None:
        """By PyMySQL; all that the server says is seen."""
        cursor = (over or self.own).cursor()
        for statement in statements:
            try:
                count = cursor.execute(statement)
                told = (over or self.own).show_warnings()
                self.seen.append((statement, count, cursor.rowcount, told, cursor.fetchall()))
            except pymysql.err.MySQLError as error:
                self.seen.append((statement, error.args))

    def use(self, between: Callable[[Any], None] = lambda connection: None) -> None:
        """Make the tables, and write; what is in the database is seen."""
        engine = create_engine(self.url(), poolclass=NullPool)
        self.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO person (name) VALUES ('Ada'), ('Bob')"))
            self.seen.append(connection.execute(text("SELECT * FROM person")).all())
        with self.connect(NAME) as connection:
            between(connection)
        if self.number == ROUNDS - 2:
            self.seen.append(content.digest(_at(self.server)))


def _at(server: Address) -> Address:
    values = {name: getattr(server, name) for name in server.__struct_fields__}
    return Address(**(values | {"database": NAME}))


class Plain:
    """Runs a program as it is written, and memoised."""

    def __init__(self, server: Address) -> None:
        self.server = server

    def __call__(self, step: Callable[[Program], None], *, audit: bool = False) -> Counts:
        return held_to_plain(lambda memoising: self._run(step, memoising), audit=audit)

    def _run(self, step: Callable[[Program], None], memoising: Memoising | None) -> list[object]:
        program = Program(self.server)
        try:
            for program.number in range(ROUNDS):
                step(program)
        finally:
            program.own.close()
            if memoising is not None:
                memoising.take_down()
        with program.connect() as connection:
            program.sql("SHOW DATABASES", f"DROP DATABASE IF EXISTS {NAME}", over=connection)
        return program.seen


@pytest.fixture
def compared(new_mysql_database: NewDatabase) -> Plain:
    return Plain(new_mysql_database())


def by_pymysql(program: Program) -> None:
    program.sql(f"DROP DATABASE IF EXISTS {NAME}", f"CREATE DATABASE {NAME}")
    program.use()
    program.sql(f"DROP DATABASE {NAME}")


def by_sqlalchemy_utils(program: Program) -> None:
    where = program.url()
    if sqlalchemy_utils.database_exists(where):
        sqlalchemy_utils.drop_database(where)
    program.seen.append(sqlalchemy_utils.database_exists(where))
    sqlalchemy_utils.create_database(where)
    program.use()
    if program.number % 2:
        program.seen.append(sqlalchemy_utils.database_exists(where))
        sqlalchemy_utils.drop_database(where)


def by_aiomysql(program: Program) -> None:
    asyncio.run(_asynchronously(program, "aiomysql", aiomysql.connect))


def by_asyncmy(program: Program) -> None:
    asyncio.run(_asynchronously(program, "asyncmy", asyncmy.connect))


async def _asynchronously(program: Program, driver: str, connect: Any) -> None:
    async def execute(statement: str) -> None:
        async with connection.cursor() as cursor:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                count = await cursor.execute(statement)
            shown = await connection.show_warnings()
            program.seen.append((count, cursor.rowcount, [str(w.message) for w in told], shown))

    server = program.server
    connection = await connect(unix_socket=server.socket, user=server.user)
    await execute(f"DROP SCHEMA IF EXISTS `{NAME}`")
    await execute(f"CREATE SCHEMA `{NAME}` DEFAULT CHARACTER SET latin1 COLLATE 'latin1_bin';")
    engine = create_async_engine(program.url(driver), poolclass=NullPool)
    async with engine.begin() as session:
        await session.run_sync(program.metadata.create_all)
        await session.execute(text("INSERT INTO person (name) VALUES ('Ada')"))
        program.seen.append((await session.execute(text("SELECT * FROM person"))).all())
    await execute(f"DROP SCHEMA `{NAME}`")
    connection.close()


@pytest.mark.parametrize("program", [by_pymysql, by_aiomysql, by_asyncmy])
def test_a_database_for_each_test(compared: Plain, program: Callable[[Program], None]) -> None:
    counts = compared(program)

    # Tables are known after the third time, and their databases are.
    assert counts.times == {DROP: 4, NONE: 3, CREATE: 3, TABLES: 3}
    assert counts.reasons == set()


def test_by_sqlalchemy_utils(compared: Plain) -> None:
    counts = compared(by_sqlalchemy_utils)

    assert counts.times == {DROP: 4, CREATE: 3, TABLES: 3}
    assert counts.reasons == set()


def test_the_audit_makes_the_tables_the_slow_way(compared: Plain) -> None:
    counts = compared(by_pymysql, audit=True)

    assert counts.checked == counts.times[TABLES] > 0


def look_by_list(program: Program) -> None:
    program.sql("SHOW DATABASES")


def look_by_schema(program: Program) -> None:
    program.sql("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'whole'")


def look_by_connecting(program: Program) -> None:
    try:
        program.connect(NAME).close()
        program.seen.append("there")
    except pymysql.err.MySQLError as error:
        program.seen.append(error.args)


def look_by_entering(program: Program) -> None:
    with program.connect() as connection:
        program.sql(f"USE `{NAME}`", over=connection)
        try:
            connection.select_db(NAME)
        except pymysql.err.MySQLError as error:
            program.seen.append(error.args)


def look_by_entering_otherwise(program: Program) -> None:
    with program.connect() as connection:
        program.sql(f"USE {NAME}/**/", f"USE {NAME}#", over=connection)


def look_by_a_table(program: Program) -> None:
    program.sql(f"SELECT * FROM {NAME}.person")


def look_by_another_name(program: Program) -> None:
    question = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = '{}'"
    program.sql(question.format(NAME.upper()), question.format(NAME))


_LIST = """
import sys, pymysql
connection = pymysql.connect(unix_socket=sys.argv[1], user=sys.argv[2])
cursor = connection.cursor()
cursor.execute("SHOW DATABASES")
print(cursor.fetchall())
"""


def look_by_a_child(program: Program) -> None:
    command = [sys.executable, "-c", _LIST, program.server.socket, program.server.user]
    program.seen.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def look_by_a_thread(program: Program) -> None:
    def look() -> None:
        with program.connect() as connection:
            program.sql("SHOW DATABASES", over=connection)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()


LOOKS = [
    look_by_list,
    look_by_schema,
    look_by_connecting,
    look_by_entering,
    look_by_entering_otherwise,
    look_by_a_table,
    look_by_another_name,
    look_by_a_child,
    look_by_a_thread,
]


@pytest.mark.parametrize("look", LOOKS)
def test_whoever_looks_sees_it(compared: Plain, look: Callable[[Program], None]) -> None:
    def program(program: Program) -> None:
        is_late = program.number == ROUNDS - 1
        program.sql(f"CREATE DATABASE {NAME}")
        if is_late:
            look(program)  # there are no tables
        program.use()
        program.sql(f"DROP DATABASE {NAME}")
        if is_late:
            look(program)

    assert compared(program).times[DROP] > 0


def alter_a_table(program: Program, connection: Any) -> None:
    program.sql("ALTER TABLE person ADD age int", over=connection)


def add_a_table(program: Program, connection: Any) -> None:
    program.sql("CREATE TABLE extra (id int)", "INSERT INTO extra VALUES (1)", over=connection)


def add_a_view(program: Program, connection: Any) -> None:
    program.sql("CREATE VIEW names AS SELECT name FROM person", over=connection)


def change_the_charset(program: Program, connection: Any) -> None:
    program.sql(f"ALTER DATABASE {NAME} CHARACTER SET latin1", over=connection)


def write_a_lot(program: Program, connection: Any) -> None:
    program.sql(
        "INSERT INTO purchase (id) VALUES (77)",
        "INSERT INTO line (purchase_id) VALUES (77)",
        "DELETE FROM person",
        over=connection,
    )


@pytest.mark.parametrize(
    "change", [alter_a_table, add_a_table, add_a_view, change_the_charset, write_a_lot]
)
def test_what_a_test_changes_is_gone(
    compared: Plain, change: Callable[[Program, Any], None]
) -> None:
    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}")
        program.use(lambda connection: change(program, connection))
        program.sql(f"DROP DATABASE {NAME}")

    assert (DROP in compared(program).times) == (change is write_a_lot)


def test_another_statement_and_other_settings_make_another_database(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}{' CHARSET latin1' if program.number == 4 else ''}")
        program.use()
        program.sql(f"DROP DATABASE {NAME}")
        if program.number == 4:
            program.sql("SET collation_server = 'utf8mb3_bin'")
        if program.number > 3:
            program.sql(f"SHOW CREATE DATABASE {NAME}")

    assert compared(program).times[DROP] > 0


def test_errors_are_the_servers_own(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}", f"CREATE DATABASE {NAME}")
        program.use()
        program.sql(f"CREATE DATABASE IF NOT EXISTS {NAME}", f"DROP DATABASE {NAME}")
        if program.number % 2:
            program.sql(f"DROP DATABASE {NAME}", f"DROP DATABASE IF EXISTS {NAME}")
        program.sql("SHOW WARNINGS", "DROP DATABASE no_such_database")

    assert compared(program).times[DROP] > 0


def test_a_database_that_was_there_is_not_the_one_of_the_statement(compared: Plain) -> None:
    def program(program: Program) -> None:
        other = f"CREATE DATABASE IF NOT EXISTS {NAME} CHARSET latin1"
        program.sql(f"CREATE DATABASE IF NOT EXISTS {NAME}" if program.number < 4 else other)
        program.use()
        program.sql(f"CREATE DATABASE IF NOT EXISTS {NAME}", f"SHOW CREATE DATABASE {NAME}")
        if program.number == 3:
            program.sql(other)
        program.sql(f"DROP DATABASE {NAME}")

    assert compared(program).times[DROP] > 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("START TRANSACTION READ ONLY", "ROLLBACK"),
        ("SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE"),
        ("FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES"),
    ],
)
def test_a_session_that_may_not_drop(compared: Plain, before: str, after: str) -> None:
    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}")
        program.use()
        if program.number == ROUNDS - 1:
            with program.connect() as connection:
                program.sql(before, f"DROP DATABASE {NAME}", after, over=connection)
        program.sql(f"DROP DATABASE {NAME}")

    assert compared(program).times[DROP] > 0


def test_rights_that_are_revoked(compared: Plain) -> None:
    def program(program: Program) -> None:
        if program.number == 0:
            program.sql(
                "CREATE USER visitor@localhost",
                f"GRANT ALL ON {NAME}.* TO visitor@localhost",
                "GRANT PROCESS ON *.* TO visitor@localhost",
                "GRANT SELECT ON performance_schema.* TO visitor@localhost",
            )
        where = f"//visitor@localhost/{NAME}?unix_socket={program.server.socket}&ssl_disabled=1"
        own = pymysql.connect(unix_socket=program.server.socket, user="visitor", ssl_disabled=True)
        program.sql(f"CREATE DATABASE {NAME}", over=own)
        program.metadata.create_all(create_engine(f"mysql+pymysql:{where}", poolclass=NullPool))
        if program.number == ROUNDS - 1:
            program.sql(f"REVOKE DROP ON {NAME}.* FROM visitor@localhost")
            program.sql(f"DROP DATABASE {NAME}", over=own)
            program.sql(f"GRANT DROP ON {NAME}.* TO visitor@localhost")
        program.sql(f"DROP DATABASE {NAME}", over=own)
        own.close()
        if program.number == ROUNDS - 1:
            program.sql("DROP USER visitor@localhost")

    assert compared(program).times[DROP] > 0


def test_a_session_that_is_told_no_notes(compared: Plain) -> None:
    def program(program: Program) -> None:
        drop = f"DROP DATABASE IF EXISTS {NAME}"
        program.sql(drop, drop)
        with program.connect() as connection:
            if program.number == ROUNDS - 1:
                connection.query("SET sql_notes = 0")
            program.sql(drop, over=connection)
        program.sql(f"CREATE DATABASE {NAME}")
        program.use()
        program.sql(drop)

    assert compared(program).times[NONE] > 0


def _forget_mysqldb() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "MySQLdb"]:
        del sys.modules[name]


def test_a_driver_that_a_test_imports(compared: Plain) -> None:
    pytest.importorskip("MySQLdb")
    _forget_mysqldb()

    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}")
        program.use()
        program.sql(f"DROP DATABASE {NAME}")
        if program.number == ROUNDS - 1:
            driver = importlib.import_module("MySQLdb")
            with driver.connect(unix_socket=program.server.socket, user=program.server.user) as own:
                cursor = own.cursor()
                cursor.execute("SHOW DATABASES")
                program.seen.append(cursor.fetchall())
            _forget_mysqldb()

    assert compared(program).times[DROP] > 0


ELSEWHERE = """
import subprocess, sys

subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], start_new_session=True)
"""
WAITS = """
import pathlib, sys, time, pymysql

go, done, socket, user = sys.argv[1:]
for _ in range(12000):
    if pathlib.Path(go).exists():
        break
    time.sleep(0.01)
cursor = pymysql.connect(unix_socket=socket, user=user, autocommit=True).cursor()
cursor.execute("CREATE DATABASE IF NOT EXISTS whole")
cursor.execute("CREATE TABLE whole.theirs (id integer)")
cursor.execute("INSERT INTO whole.theirs VALUES (7)")
pathlib.Path(done).touch()
"""


def test_another_process_makes_the_database_meanwhile(compared: Plain, tmp_path: Path) -> None:
    runs = itertools.count()

    def program(program: Program) -> None:
        is_last = program.number == ROUNDS - 1
        program.sql(f"CREATE DATABASE {NAME}")
        if is_last:
            number = next(runs)
            go, done = tmp_path / f"go{number}", tmp_path / f"done{number}"
            names = map(str, (go, done, program.server.socket, program.server.user))
            subprocess.run([sys.executable, "-c", ELSEWHERE, WAITS, *names], check=True)
        program.use()
        program.sql(f"DROP DATABASE {NAME}")
        if is_last:
            go.touch()
            until(done.exists, "the other process has made its table")
            program.sql("SHOW DATABASES", f"SELECT * FROM {NAME}.theirs")
            program.own.cursor().execute(f"DROP DATABASE {NAME}")  # with emptied tables or without

    assert compared(program).times[DROP] == ROUNDS - 2


def test_a_session_that_is_in_the_database_is_in_none_then(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}")
        program.use()
        with program.connect(NAME) as connection:
            program.sql(f"DROP DATABASE {NAME}", "SELECT database()", over=connection)

    assert "a session that is in the database" in compared(program).reasons


def test_an_open_transaction_is_committed(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql("CREATE DATABASE IF NOT EXISTS beside")
        program.sql("CREATE TABLE IF NOT EXISTS beside.log (number int)")
        program.sql(f"CREATE DATABASE {NAME}")
        program.use()
        with program.connect() as connection:
            connection.autocommit(False)
            program.sql(
                f"INSERT INTO beside.log VALUES ({program.number})",
                f"INSERT INTO {NAME}.person (name) VALUES ('Cy')",
                f"DROP DATABASE {NAME}",
                over=connection,
            )
            connection.rollback()
        if program.number == ROUNDS - 1:
            program.sql("SELECT * FROM beside.log", "DROP DATABASE beside")

    assert compared(program).times[DROP] > 0


def test_tables_that_were_dropped_before(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql(f"CREATE DATABASE {NAME}")
        program.use()
        engine = create_engine(program.url(), poolclass=NullPool)
        program.metadata.drop_all(engine)
        program.sql(f"DROP DATABASE {NAME}")

    counts = compared(program)

    assert counts.times[DROP] > 0
    assert counts.times[TABLES] > 0


def test_other_tables_in_the_next_database(compared: Plain) -> None:
    def program(program: Program) -> None:
        if program.number == 4:
            Table("more", program.metadata, Column("id", Integer, primary_key=True))
        by_pymysql(program)

    assert compared(program).times[DROP] > 0
