"""Programs whose tables Tortoise makes, as they are and memoised."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

from tortoise import fields
from tortoise.models import Model

from memoised import Counts, held_to_plain

MODULE = "models_for_memoising"
Program = Callable[[int], Awaitable[object]]


def new_models() -> Iterator[ModuleType]:
    """Models in a module of their own, as Tortoise finds them, until the iterator goes on."""

    class Person(Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=9, db_index=True)

        class Meta:
            table_description = "somebody"

    class Purchase(Model):
        id = fields.IntField(primary_key=True)
        person: Any = fields.ForeignKeyField("models.Person", related_name="purchases")

    module = sys.modules[MODULE] = ModuleType(MODULE)
    for model in (Person, Purchase):
        model.__module__ = MODULE
        setattr(module, model.__name__, model)
    yield module
    del sys.modules[MODULE]


async def use() -> object:
    """Write with the models, and read."""
    person: Any = sys.modules[MODULE].Person
    purchase: Any = sys.modules[MODULE].Purchase
    await purchase.create(person=await person.create(name="Ada"))
    return await person.all().values_list("id", "name"), await purchase.all().values_list("id")


def compared(program: Program, rounds: int, *, audit: bool = False) -> Counts:
    """Run it as it is and memoised, each round on a loop of its own; what it returns is equal."""
    return held_to_plain(
        lambda _: [asyncio.run(_one(program, number)) for number in range(rounds)], audit=audit
    )


async def _one(program: Program, number: int) -> object:
    return await program(number)
