"""Memoised ``CREATE DATABASE`` and ``DROP DATABASE``: every program sees what it sees without."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy_utils
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from memoised import Counts, held_to_plain
from pytest_slipstream.databases import servers
from pytest_slipstream.databases.engines.postgresql import content
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.memoising.whole.server import Session, WholeServer
from pytest_slipstream.databases.urls import url
from pytest_slipstream.settings import DatabaseSettings

ROUNDS = 6
REPLACED = {"CREATE DATABASE on PostgreSQL": 4, "DROP DATABASE on PostgreSQL": 5}
"""The first two run as they are written; in the end the template is dropped, too."""
_LOOK = """
SELECT datname, datdba::regrole::text, encoding, datcollate, datctype, datallowconn, datconnlimit,
       datistemplate, (SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setdatabase = oid)
FROM pg_database ORDER BY datname
"""


class Program:
    """What a program does over and over, and what it has seen."""

    def __init__(self, server: Address) -> None:
        self.server = server
        self.seen: list[object] = []
        self.number = 0

    def url(self, database: str, driver: str = "") -> str:
        return url(self.at(database), driver=driver)

    def at(self, database: str) -> Address:
        return Address(
            **{name: getattr(self.server, name) for name in self.server.__struct_fields__}
            | {"database": database}
        )

    def sql(self, *statements: str, database: str = "postgres", autocommit: bool = True) -> None:
        """By psycopg; what the server says against it is seen."""
        with psycopg.connect(self.url(database), autocommit=autocommit) as connection:
            for statement in statements:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    self.seen.append((error.sqlstate, str(error)))
                    connection.rollback()

    def look(self, *databases: str) -> None:
        """At what the databases hold."""
        self.seen.append([content.digest(self.at(name)) for name in databases])

    def list(self) -> None:
        """All databases, as this process finds them."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            self.seen.append(connection.execute(_LOOK).fetchall())


class Plain:
    """Runs a program as it is written, and memoised."""

    def __init__(self, server: Address) -> None:
        self.server = server

    def __call__(
        self,
        step: Callable[[Program], None],
        *,
        between: Callable[[], None] = lambda: None,
        audit: bool = False,
    ) -> Counts:
        def run(memoising: Memoising | None) -> list[object]:
            seen = self._run(step, memoising)
            if memoising is None:
                between()
            return seen

        counts = held_to_plain(run, audit=audit)
        with psycopg.connect(url(self.server, driver="")) as connection:
            left = "SELECT datname FROM pg_database WHERE starts_with(datname, 'slipstream_memo_')"
            assert connection.execute(left).fetchall() == []
        return counts

    def _run(self, step: Callable[[Program], None], memoising: Memoising | None) -> list[object]:
        program = Program(self.server)
        program.sql("CREATE DATABASE tpl")
        program.sql(
            "CREATE TABLE person (id serial PRIMARY KEY, name text UNIQUE)",
            "INSERT INTO person (name) VALUES ('ada')",
            "COMMENT ON TABLE person IS 'somebody'",
            database="tpl",
        )
        try:
            for program.number in range(ROUNDS):
                step(program)
                if memoising is not None:
                    settle(memoising)
            program.list()
        finally:
            program.sql("DROP DATABASE IF EXISTS own", "DROP DATABASE tpl")
        return program.seen


def settle(memoising: Memoising) -> None:
    """Wait until what is made ahead is made."""
    whole: Any = memoising._whole
    until = time.monotonic() + 60
    for server in whole._servers.values() if whole is not None else ():
        while server._wanted or server._to_drop or server._is_busy:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture(scope="module")
def server(shared_cache_dir: Path, require_postgresql: None) -> Generator[Address, None, None]:
    """A server of which all databases are listed, so nobody else has one there."""
    own = servers.embedded_of(
        DatabaseSettings(engine="postgresql"), cache_dir=shared_cache_dir, run=os.urandom(6).hex()
    )
    own.open(lambda message: None)
    yield own.address("postgres")
    own.close()


@pytest.fixture
def compared(server: Address) -> Plain:
    return Plain(server)


def by_psycopg(program: Program) -> None:
    program.sql("CREATE DATABASE own TEMPLATE tpl")
    program.look("own")
    program.sql("INSERT INTO person (name) VALUES ('bob')", database="own")
    program.sql("DROP DATABASE own")


def by_psycopg2(program: Program) -> None:
    connection = psycopg2.connect(program.url("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE own TEMPLATE tpl")
        program.look("own")
        cursor.execute("DROP DATABASE own")
    connection.close()


def by_asyncpg(program: Program) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(program.url("postgres"))
        program.seen.append(await connection.execute("CREATE DATABASE own TEMPLATE tpl"))
        program.look("own")
        program.seen.append(await connection.execute("DROP DATABASE own"))
        if program.number == ROUNDS - 1:  # who looks at all of them finds none of slipstream's
            found = await connection.fetch("SELECT datname FROM pg_database ORDER BY 1")
            program.seen.append(found)
        await connection.close()

    asyncio.run(main())


def by_psycopg_async(program: Program) -> None:
    async def main() -> None:
        address = program.url("postgres")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE tpl").format(sql.Identifier("own"))
            await connection.execute(create)
            program.look("own")
            await connection.execute("DROP DATABASE IF EXISTS own")

    asyncio.run(main())


def by_sqlalchemy(program: Program) -> None:
    for driver in ("psycopg",) if program.number % 2 else ("psycopg2",):
        engine = create_engine(program.url("postgres", driver), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE own TEMPLATE tpl"))
            program.look("own")
            connection.execute(text("DROP DATABASE own"))
        engine.dispose()


def by_sqlalchemy_and_asyncpg(program: Program) -> None:
    async def main() -> None:
        engine = create_async_engine(
            program.url("postgres", "asyncpg"), isolation_level="AUTOCOMMIT"
        )
        async with engine.connect() as connection:
            await connection.execute(text("CREATE DATABASE own TEMPLATE tpl"))
            program.look("own")
            await connection.execute(text("DROP DATABASE own"))
        await engine.dispose()

    asyncio.run(main())


def by_sqlalchemy_utils(program: Program) -> None:
    own = program.url("own", "psycopg2")
    program.seen.append(sqlalchemy_utils.database_exists(own))
    sqlalchemy_utils.create_database(own, template="tpl")
    program.look("own")
    sqlalchemy_utils.drop_database(own)


@pytest.mark.parametrize(
    "program",
    [
        by_sqlalchemy_utils,
        by_psycopg,
        by_psycopg_async,
        by_psycopg2,
        by_asyncpg,
        by_sqlalchemy,
        by_sqlalchemy_and_asyncpg,
    ],
)
def test_replaced(compared: Plain, program: Callable[[Program], None]) -> None:
    counts = compared(program)

    assert counts.times == REPLACED
    assert counts.reasons == set()


def test_the_audit_compares_what_was_made_ahead(compared: Plain) -> None:
    assert compared(by_psycopg, audit=True).checked == 4


def test_a_template_that_changes_in_mid_run(compared: Plain) -> None:
    def program(program: Program) -> None:
        change = ("INSERT INTO person (name) VALUES ('bob')", "ALTER TABLE person ADD age int")
        if program.number in (3, 4):
            program.sql(change[program.number - 3], database="tpl")
        by_psycopg(program)

    assert compared(program).times["CREATE DATABASE on PostgreSQL"] == 2


def test_options_without_a_template(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql("CREATE DATABASE own WITH OWNER slipstream ENCODING 'UTF8'")
        if program.number in (1, 4):
            program.list()
        program.sql("ALTER DATABASE own SET work_mem = '7MB'", "DROP DATABASE own")

    assert compared(program).times.keys() == REPLACED.keys()


def test_errors_are_the_servers_own(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql("CREATE DATABASE own TEMPLATE tpl", "CREATE DATABASE own TEMPLATE tpl")
        if program.number == 4:  # the server waits five seconds for each
            with psycopg.connect(program.url("own")):
                program.sql("DROP DATABASE own")
        program.sql("CREATE DATABASE other TEMPLATE tpl", "DROP DATABASE own", autocommit=False)
        program.sql("DROP DATABASE own", "DROP DATABASE own", "DROP DATABASE IF EXISTS own")
        program.sql("CREATE DATABASE other TEMPLATE own", "DROP DATABASE template1")
        engine = create_engine(program.url("postgres", "psycopg2"))
        with engine.connect() as connection, pytest.raises(DBAPIError):
            connection.execute(text("CREATE DATABASE own TEMPLATE tpl"))
        engine.dispose()

    assert compared(program).replaced["CREATE"] > 0


def test_who_owned_it_can_be_dropped_and_roles_are_looked_at(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql(
            "CREATE ROLE app",
            "CREATE DATABASE own TEMPLATE tpl OWNER app",
            "DROP DATABASE own",
            "DROP ROLE app",
        )

    assert compared(program).times["DROP DATABASE on PostgreSQL"] == 5


def test_a_session_that_acts_as_another_role(compared: Plain) -> None:
    def program(program: Program) -> None:
        program.sql("CREATE ROLE maker CREATEDB", "GRANT maker TO slipstream")
        program.sql("ALTER DATABASE tpl IS_TEMPLATE true")
        program.sql("SET ROLE maker", "CREATE DATABASE own TEMPLATE tpl", "RESET ROLE")
        program.list()
        program.sql("DROP DATABASE own", "DROP ROLE maker", "ALTER DATABASE tpl IS_TEMPLATE false")

    counts = compared(program)

    assert "CREATE" not in counts.replaced
    assert "a session that acts as another role, or may not create any" in counts.reasons


def test_what_a_killed_process_left_goes_with_the_next_run(
    compared: Plain, server: Address
) -> None:
    def step(program: Program) -> None:
        program.sql("CREATE DATABASE own TEMPLATE tpl", "DROP DATABASE own")

    def between() -> None:
        Program(server).sql("CREATE DATABASE slipstream_memo_db_999999999_1")

    assert compared(step, between=between).times == REPLACED


class FailsToSweep(WholeServer):
    def _sweep(self, session: Session) -> None:
        raise ValueError("not a name of ours")


@pytest.mark.timeout(60)
def test_nobody_waits_for_a_thread_that_has_failed(server: Address) -> None:
    failing = FailsToSweep(server)
    failing.drop(failing.new_name())
    failing.flush()
    failing.end()
    assert failing.problem == "not a name of ours"
