"""Memoised ``create_tables`` and ``drop_tables``: every program ends as it does without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peewee
import pytest
from playhouse.pool import PooledPostgresqlDatabase

from memoised import MADE, ROUNDS, Compared, Program, Trial


def shop(kind: type[Any] = peewee.PostgresqlDatabase) -> tuple[Any, list[Any]]:
    """A Database that is not connected yet, and its models."""
    database = kind(None)

    class Person(peewee.Model):
        name = peewee.CharField(9, index=True)

        class Meta:
            database: Any

    class Purchase(peewee.Model):
        person = peewee.ForeignKeyField(Person)
        amount = peewee.IntegerField(constraints=[peewee.Check("amount > 0")])

        class Meta:
            database: Any
            indexes = ((("person", "amount"), True),)

    database.bind([Person, Purchase])
    return database, [Person, Purchase]


def connect(database: Any, trial: Trial) -> None:
    address = trial.address
    database.init(
        address.database,
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
    )


def for_each_test(
    database: Any, models: list[Any], change: Callable[[int], None] = lambda number: None
) -> Program:
    rounds = iter(range(ROUNDS))

    def program(trial: Trial) -> None:
        person, purchase = models
        number = next(rounds)
        connect(database, trial)
        try:
            database.create_tables(models)
            one = person.create(name="Ada")
            purchase.create(person=one, amount=3)
            trial.look([*person.select().tuples(), *purchase.select().tuples()])
            change(number)
            database.drop_tables(models)
            trial.look(database.get_tables())
        finally:
            database.close()

    return program


@pytest.mark.parametrize("kind", [peewee.PostgresqlDatabase, PooledPostgresqlDatabase])
def test_create_and_drop_for_each_test_are_restored(compared: Compared, kind: type[Any]) -> None:
    counts = compared(lambda: for_each_test(*shop(kind)))

    assert counts.replaced["create_tables"] >= ROUNDS - MADE
    assert counts.replaced["drop_tables"] >= ROUNDS - MADE
    assert counts.reasons == set()


def test_the_audit_makes_all_the_slow_way_too(compared: Compared) -> None:
    counts = compared(lambda: for_each_test(*shop()), audit=True)

    assert counts.checked >= ROUNDS - MADE


def test_models_that_change_in_mid_run(compared: Compared) -> None:
    def make() -> Program:
        database, models = shop()

        def change(number: int) -> None:
            if number == ROUNDS - 2:
                models[0]._meta.add_field("age", peewee.IntegerField(null=True))

        return for_each_test(database, models, change)

    assert compared(make).replaced["create_tables"] >= 1


def test_a_column_that_a_test_adds(compared: Compared) -> None:
    def make() -> Program:
        database, models = shop()

        def change(number: int) -> None:
            if number == MADE:
                database.execute_sql("ALTER TABLE person ADD COLUMN age integer")

        return for_each_test(database, models, change)

    assert compared(make).replaced["create_tables"] >= 1


def test_in_a_transaction_that_is_rolled_back(compared: Compared) -> None:
    def make() -> Program:
        database, models = shop()
        each = for_each_test(database, models)

        def program(trial: Trial) -> None:
            each(trial)
            connect(database, trial)
            with database.atomic() as transaction:
                database.create_tables(models)
                models[0].create(name="Ada")
                transaction.rollback()
            trial.look()
            database.close()

        return program

    assert compared(make).replaced["create_tables"] >= 1


def test_a_model_that_makes_its_own_table(compared: Compared) -> None:
    def make() -> Program:
        database, models = shop()

        class Purchase(models[1]):  # type: ignore[misc]
            @classmethod
            def create_table(cls, *values: Any, **options: Any) -> None:
                super().create_table(*values, **options)
                database.execute_sql("CREATE INDEX own ON purchase (amount DESC)")

            class Meta:
                table_name = "purchase"

        database.bind([Purchase])
        return for_each_test(database, [models[0], Purchase])

    counts = compared(make)
    assert counts.replaced == {}
    assert counts.reasons == {"the model Purchase, which makes its own table"}
