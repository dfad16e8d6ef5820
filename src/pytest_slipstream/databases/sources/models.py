"""Peewee sources: which models an object stands for, and their tables created.

The invariant: the application's own Database is neither opened nor changed; the models are bound to
another one while their tables are created.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, TypeGuard

import msgspec

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.errors import MissingExtraError, TemplateError

_DRIVERS = {"postgresql": "psycopg2-binary", "mysql": "pymysql"}


class Models(msgspec.Struct, frozen=True):
    """Peewee models that one object stands for; their tables are created together."""

    classes: tuple[type[Any], ...]


def is_model(value: object) -> TypeGuard[type[Any]]:
    """Whether ``value`` is a Peewee model class; nothing is imported to find out."""
    peewee = sys.modules.get("peewee")
    return peewee is not None and isinstance(value, type) and issubclass(value, peewee.Model)


def of(value: type[Any] | ModuleType) -> Models:
    """The models of a module or a class.

    Of a module those that it defines, that modules below it define, and that it names. Of a class
    that others derive from and that adds no field itself, save its primary key, those others; any
    other class is itself a table.
    """
    if isinstance(value, ModuleType):
        found = (each for each in _named(value) if is_model(each) and not _is_base(each))
        return Models(tuple(dict.fromkeys(found)))
    return Models(tuple(_derived(value)) if _is_base(value) else (value,))


def _named(module: ModuleType) -> Iterator[object]:
    below = f"{module.__name__}."
    for name, each in list(sys.modules.items()):
        if each is module or (name.startswith(below) and isinstance(each, ModuleType)):
            yield from vars(each).values()


def _derived(base: type[Any]) -> Iterator[type[Any]]:
    for each in base.__subclasses__():
        if not _is_base(each):
            yield each
        yield from _derived(each)


def _is_base(model: type[Any]) -> bool:
    meta = getattr(model, "_meta", None)  # peewee.Model itself has none
    if meta is None:
        return True
    inherited = {
        name
        for parent in model.__mro__[1:]
        if (known := getattr(parent, "_meta", None)) is not None
        for name in known.fields
    }
    key = meta.primary_key.name if meta.primary_key else None
    return bool(model.__subclasses__()) and set(meta.fields) <= inherited | {key}


def all_tables(models: Models) -> tuple[type[Any], ...]:
    """The models, with those that they refer to and those between many and many."""
    waiting, found = list(models.classes), dict.fromkeys(models.classes)
    while waiting:
        meta = waiting.pop()._meta
        through = (field.get_through_model() for field in meta.manytomany.values())
        for each in filter(is_model, (*meta.refs.values(), *through)):
            if each not in found:
                found[each] = None
                waiting.append(each)
    return tuple(found)


_REAL_TYPES = {"BIGINT": "BIGINT", "SMALLINT": "SMALLINT", "BOOL": "BOOLEAN"}
"""What Peewee declares as INTEGER in SQLite, though its ranges differ."""


def create(models: Models, address: Address, *, strict: bool) -> None:
    """Create the tables of ``models`` with their indexes, in the order of their foreign keys.

    Args:
        models: The models.
        address: Where.
        strict: Whether SQLite's columns must tell what they are on the real engines.

    Raises:
        TemplateError: a deferred foreign key refers to a model that was never defined.
        MissingExtraError: Peewee finds no driver for this product.
    """
    peewee: Any = import_module("peewee")
    tables = all_tables(models)
    _refuse_unresolved(peewee, tables)
    try:
        with _database(tables, address, strict) as database:
            with database.bind_ctx(tables, bind_refs=False, bind_backrefs=False):
                database.create_tables(tables)
                if address.engine != "sqlite":  # which has no ALTER TABLE for it
                    for model, field in _deferred(tables):
                        model._schema.create_foreign_key(field)
    except peewee.ImproperlyConfigured as error:
        raise MissingExtraError(
            f"Peewee {peewee.__version__} cannot create the tables: {error}",
            hint=f"pip install {_DRIVERS.get(address.engine, 'peewee')}",
        ) from error


def _database(tables: Iterable[type[Any]], address: Address, strict: bool) -> Any:
    """A Database for ``address``, with the column types that the application has added to its."""
    db_url: Any = import_module("playhouse.db_url")
    kind = db_url.schemes[address.engine]
    options: dict[str, Any] = {}
    for model in tables:
        bound = model._meta.database
        bound = getattr(bound, "obj", bound)  # of a DatabaseProxy
        if isinstance(bound, kind):
            options["field_types"] = bound.get_context_options()["field_types"]
            break
    if strict:
        types = options.setdefault("field_types", dict(kind.field_types))
        for name, real in _REAL_TYPES.items():
            if types[name] == kind.field_types[name]:
                types[name] = real
    if address.path:
        return kind(address.path, uri=address.path.startswith("file:"), **options)
    url = urls.url(address, driver="")
    return kind(**db_url.parse(url, unquote_password=True, unquote_user=True), **options)


def _deferred(tables: Iterable[type[Any]]) -> Iterator[tuple[type[Any], Any]]:
    for model in tables:
        for field in model._meta.refs:
            if field.deferred:
                yield model, field


def _refuse_unresolved(peewee: Any, tables: Iterable[type[Any]]) -> None:
    for model in tables:
        for field in model._meta.sorted_fields:
            if isinstance(field, peewee.DeferredForeignKey):
                raise TemplateError(
                    f"the field {field.name!r} of the model {model.__name__} refers to the model "
                    f"{field.rel_model_name!r}, which no module that has been imported defines",
                    hint="name a module that imports all models",
                )
