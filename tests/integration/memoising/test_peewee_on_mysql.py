"""Memoised ``create_tables`` and ``drop_tables`` on MariaDB: every program ends as without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peewee
import pytest
from playhouse.pool import PooledMySQLDatabase

from memoised import MADE, ROUNDS, Compared, Program, Trial


def shop(kind: type[Any] = peewee.MySQLDatabase) -> tuple[Any, list[Any]]:
    """A Database that is not connected yet, and its models."""
    database = kind(None)

    class Person(peewee.Model):
        name = peewee.CharField(9, index=True)

        class Meta:
            database: Any

    class Purchase(peewee.Model):
        person = peewee.ForeignKeyField(Person, on_delete="CASCADE")
        amount = peewee.IntegerField(constraints=[peewee.Check("amount > 0")])

        class Meta:
            database: Any
            indexes = ((("person", "amount"), True),)

    database.bind([Person, Purchase])
    return database, [Person, Purchase]


def for_each_test(
    database: Any, models: list[Any], change: Callable[[int], None] = lambda number: None
) -> Program:
    rounds = iter(range(ROUNDS))

    def program(trial: Trial) -> None:
        person, purchase = models
        database.init(
            trial.address.database, unix_socket=trial.address.socket, user=trial.address.user
        )
        database.connect()
        try:
            database.create_tables(models)
            one = person.create(name="Ada")
            purchase.create(person=one, amount=3)
            trial.seen.append([*person.select().tuples(), *purchase.select().tuples()])
            change(next(rounds))
            database.drop_tables(models)
        finally:
            database.close()

    return program


@pytest.mark.parametrize("kind", [peewee.MySQLDatabase, PooledMySQLDatabase])
@pytest.mark.parametrize("audit", [False, True])
def test_create_and_drop_for_each_test_are_restored(
    compared_on_mysql: Compared, kind: type[Any], audit: bool
) -> None:
    counts = compared_on_mysql(lambda: for_each_test(*shop(kind)), audit=audit)

    assert counts.replaced["create_tables"] >= ROUNDS - MADE
    assert counts.replaced["drop_tables"] >= ROUNDS - MADE
    assert counts.reasons == set()
    assert bool(counts.checked) == audit


def test_models_and_tables_that_change_in_mid_run(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        database, models = shop()

        def change(number: int) -> None:
            if number == MADE:
                database.execute_sql("ALTER TABLE person ADD COLUMN age integer")
            if number == ROUNDS - 2:
                models[0]._meta.add_field("age", peewee.IntegerField(null=True))

        return for_each_test(database, models, change)

    assert compared_on_mysql(make).replaced["create_tables"] >= 1


def test_a_transaction_is_committed_as_ddl_commits_it(compared_on_mysql: Compared) -> None:
    def make() -> Program:
        database, models = shop()

        def change(number: int) -> None:
            with database.atomic() as transaction:
                models[0].create(name="Bob")
                database.create_tables(models)
                transaction.rollback()
            found.append(models[0].select().count())

        found: list[int] = []
        each = for_each_test(database, models, change)

        def program(trial: Trial) -> None:
            each(trial)
            trial.look(*found)

        return program

    compared_on_mysql(make)


def test_sqlalchemy_beside_peewee(compared_on_mysql: Compared) -> None:
    """One library's tables are dropped before the other's are made."""

    def make() -> Program:
        from sqlalchemy import Column, Integer, MetaData, Table

        each = for_each_test(*shop())
        metadata = MetaData()
        Table("person", metadata, Column("id", Integer, primary_key=True))

        def program(trial: Trial) -> None:
            each(trial)
            metadata.create_all(trial.engine)
            trial.execute("INSERT INTO person VALUES (7)")
            trial.look()
            metadata.drop_all(trial.engine)

        return program

    compared_on_mysql(make)
