"""Memoised ``create_tables`` and ``drop_tables`` on SQLite: programs end as they do without."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee
import pytest
from playhouse.pool import PooledSqliteDatabase
from playhouse.pwasyncio import AsyncSqliteDatabase
from playhouse.sqliteq import SqliteQueueDatabase

from memoised import Counts, held_to_plain
from pytest_slipstream.databases.engines.sqlite import content
from pytest_slipstream.databases.memoising.sqlite_results import KEPT

ROUNDS = 6
KNOWN = 2
"""So many rounds go by until an operation is known: unseen, and learnt."""
Program = Callable[[Any, list[Any], int], object]


def models_of(database: Any) -> list[Any]:
    class Person(peewee.Model):
        name = peewee.CharField(9, index=True)

    class Purchase(peewee.Model):
        person = peewee.ForeignKeyField(Person)
        amount = peewee.IntegerField(constraints=[peewee.Check("amount > 0")])

        class Meta:
            indexes = ((("person", "amount"), True),)

    database.bind([Person, Purchase])
    return [Person, Purchase]


def compared(
    program: Program,
    new_database: Callable[[str], Any] = lambda name: peewee.SqliteDatabase(":memory:"),
    new_models: Callable[[Any], list[Any]] = models_of,
    *,
    audit: bool = False,
) -> Counts:
    """Run it as it is and memoised: what it returns and leaves must be equal."""
    return held_to_plain(
        lambda memoising: _run(
            program, new_database("memoised" if memoising else "plain"), new_models
        ),
        audit=audit,
    )


def _run(program: Program, database: Any, new_models: Callable[[Any], list[Any]]) -> list[object]:
    seen: list[object] = []
    models = new_models(database)
    for number in range(ROUNDS):
        try:
            seen.append(program(database, models, number))
        except peewee.PeeweeException as error:
            seen.append(repr(error))
        seen.append(content.digest(database.connection()))
        database.close()
    return seen


def for_each_test(database: Any, models: list[Any], number: int) -> object:
    database.create_tables(models)
    person, purchase = models
    purchase.create(person=person.create(name="Ada"), amount=3)
    found = [
        *person.select().tuples(),
        *purchase.select().tuples(),
        content.digest(database.connection()),
    ]
    database.drop_tables(models)
    return found


@pytest.mark.parametrize("kind", [peewee.SqliteDatabase, PooledSqliteDatabase])
def test_in_memory(kind: type[Any]) -> None:
    counts = compared(for_each_test, lambda name: kind(":memory:", pragmas={"foreign_keys": 1}))

    assert counts.replaced == {"create_tables": ROUNDS - KNOWN, "drop_tables": ROUNDS - KNOWN}
    assert counts.reasons == set()


def test_a_file_that_is_audited(tmp_path: Path) -> None:
    counts = compared(
        for_each_test, lambda name: peewee.SqliteDatabase(tmp_path / f"{name}.db"), audit=True
    )

    assert counts.replaced == {"create_tables": ROUNDS - KNOWN, "drop_tables": ROUNDS - KNOWN}
    assert counts.checked == 2 * (ROUNDS - KNOWN)


@pytest.mark.parametrize(
    "change",
    [
        lambda database, referred: referred._meta.set_table_name("elder"),
        lambda database, referred: setattr(referred._meta.primary_key, "column_name", "number"),
        lambda database, referred: database._field_types.update(INT="BIGINT"),
    ],
)
def test_what_statements_take_from_elsewhere(change: Callable[[Any, Any], None]) -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        if number == ROUNDS - 2:
            change(database, models[0])
        database.create_tables(models[1:])
        found = content.digest(database.connection())
        database.drop_tables(models[1:])
        return found

    assert compared(program).replaced["create_tables"] > 0


def test_models_that_change_in_mid_run() -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        if number == ROUNDS - 2:
            models[0]._meta.add_field("age", peewee.IntegerField(null=True))
        return for_each_test(database, models, number)

    assert compared(program).replaced["create_tables"] >= 1


def test_models_whose_proxy_is_another_database_now() -> None:
    def new_models(database: Any) -> list[Any]:
        class Event(peewee.Model):
            at = peewee.DateTimeField()

            class Meta:
                database = peewee.Proxy()

        return [Event]

    def program(database: Any, models: list[Any], number: int) -> object:
        found = []
        for stored in ("DATETIME", "INTEGER"):
            own = peewee.SqliteDatabase(":memory:", field_types={"DATETIME": stored})
            models[0]._meta.database.initialize(own)
            own.create_tables(models)
            found.append(content.digest(own.connection()))
            own.close()
        return found

    compared(program, new_models=new_models)


def test_models_that_are_no_more_are_not_kept() -> None:
    seen: list[weakref.ref[Any]] = []

    def program(database: Any, models: list[Any], number: int) -> object:
        for _ in range(2 * KEPT):
            own = models_of(database)
            seen.append(weakref.ref(own[0]._meta))
            database.create_tables(own)
            database.drop_tables(own)
        gc.collect()
        return None

    compared(program)
    assert sum(found() is not None for found in seen) <= KEPT


def test_tables_of_raw_sql_beside(tmp_path: Path) -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        database.create_tables(models)
        if number >= KNOWN:
            database.execute_sql("CREATE TABLE IF NOT EXISTS raw (id INTEGER)")
            database.execute_sql(f"INSERT INTO raw VALUES ({number})")
        database.drop_tables(models)
        return database.get_tables()

    compared(program, lambda name: peewee.SqliteDatabase(tmp_path / f"{name}.db"))


def test_some_of_the_tables_and_all_of_them_again() -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        database.create_tables(models[:1])
        models[0].create(name="Ada")
        database.create_tables(models)
        database.drop_tables(models[1:])
        return [database.get_tables(), *models[0].select().tuples()]

    compared(program)


def test_in_a_transaction_that_is_rolled_back() -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        with database.atomic() as transaction:
            database.create_tables(models)
            models[0].create(name="Ada")
            transaction.rollback()
        return database.get_tables()

    assert compared(program).reasons == {"a transaction that is open"}


def test_errors_in_a_transaction_are_the_suites_own() -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        with database.atomic():
            database.create_tables(models)
            with pytest.raises(peewee.OperationalError) as caught:
                database.create_tables(models, safe=False)
        return repr(caught.value.__context__.__context__)

    assert compared(program).reasons == {"a transaction that is open"}


def test_foreign_keys_in_a_cycle_that_forbid_a_drop() -> None:
    def new_models(database: Any) -> list[Any]:
        class Chief(peewee.Model):
            of = peewee.DeferredForeignKey("Team", null=True)

        class Team(peewee.Model):
            chief = peewee.ForeignKeyField(Chief, null=True)

        database.bind([Chief, Team])
        return [Chief, Team]

    def program(database: Any, models: list[Any], number: int) -> object:
        database.create_tables(models)
        if number == ROUNDS - 1:
            models[1].create(chief=models[0].create())
            models[0].update(of=1).execute()
        database.drop_tables(models)
        return database.get_tables()

    counts = compared(
        program,
        lambda name: peewee.SqliteDatabase(":memory:", pragmas={"foreign_keys": 1}),
        new_models,
    )
    assert counts.reasons == {"tables whose foreign keys form a cycle"}


def test_a_database_that_is_closed_and_does_not_connect_by_itself() -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        try:
            database.create_tables(models)
        except peewee.InterfaceError as error:
            database.connect()
            return str(error)
        return None

    compared(program, lambda name: peewee.SqliteDatabase(":memory:", autoconnect=False))


def test_an_asynchronous_database(tmp_path: Path) -> None:
    def rounds(memoising: object) -> None:
        tables = [asyncio.run(_asynchronous(tmp_path / "shop.db")) for _ in range(ROUNDS)]
        assert tables == [["person", "purchase"]] * ROUNDS

    assert held_to_plain(rounds).reasons == {"a Database of the class AsyncSqliteDatabase"}


async def _asynchronous(path: Path) -> list[str]:
    database = AsyncSqliteDatabase(str(path))
    models = models_of(database)
    await database.acreate_tables(models)
    tables: list[str] = await database.run(database.get_tables)
    await database.adrop_tables(models)
    await database.close_pool()
    return tables


def test_a_queue_of_statements(tmp_path: Path) -> None:
    def program(database: Any, models: list[Any], number: int) -> object:
        database.start()
        found = for_each_test(database, models, number)
        database.stop()
        return found

    counts = compared(
        program, lambda name: SqliteQueueDatabase(tmp_path / f"{name}.db", autostart=False)
    )
    assert counts.reasons == {"a Database of the class SqliteQueueDatabase"}
