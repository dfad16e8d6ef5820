"""What SQLAlchemy's DDL for a `MetaData` is made from, and whether it is still the same.

Compiling the statements anew would cost most of what memoising saves. So the containers that the
schema consists of (attributes, collections) are copied once, and compared with their copies before
each use: in one expression, which the interpreter runs without a step of Python for each column.

The invariant: `Snapshot.holds` is true only if the same statements would be made. What a copy
cannot show, since it is code of the user's, is asked again each time (types and clauses), or makes
the metadata unknown (listeners, constructs that are compiled by the user's functions).
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, is_
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.schema import DDLElement, SchemaItem
from sqlalchemy.sql.base import DialectKWArgs
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from pytest_slipstream.databases.memoising.ledger import UnknownResultError

_LISTENED_TO = ("before_create", "after_create", "before_drop", "after_drop")
_PLAIN = (str, int, float, type(None))
_CONFIGURED = (str, int, tuple, type(None))
_SCHEMA = (SchemaItem, TypeEngine, ClauseElement)
# Of no effect on DDL: SQLAlchemy's caches, the user's notes, values made in Python, and what is
# said once more elsewhere (a column's foreign keys are constraints of its table).
_CACHES = ("comparator", "proxy_set", "_annotations", "_fk_memos", "_proxies", "_pending_colargs")
_NOTES = ("metadata", "dispatch", "info", "doc", "default", "onupdate")
_SAID_TWICE = ("foreign_keys", "dialect_options", "_table_bound_expressions")
_WITHOUT_EFFECT = frozenset((*_CACHES, *_NOTES, *_SAID_TWICE, "_unvalidated_dialect_kw"))
# Where a collection of columns has them in their order.
_ORDERED = (
    "_collection" if hasattr(Table("t", MetaData()).columns, "_collection") else "_all_columns"
)
_OF_LIBRARIES = ("sqlalchemy", "sqlmodel", "sqlalchemy_utils", "alembic")
_MADE_BY_CODE = ("load_dialect_impl", "type_engine", "dialect_impl", "get_col_spec", "compile")
_in_order = attrgetter(_ORDERED)
_listened_to = attrgetter(*_LISTENED_TO)


class Snapshot:
    """A metadata as it is now, for one dialect.

    Args:
        metadata: The metadata.
        dialect: Of the engine that it is created on.

    Raises:
        UnknownResultError: The DDL is in the hands of code of the user's.
    """

    def __init__(self, metadata: MetaData, dialect: Any) -> None:
        if reason := compiled_by_user(dialect.name):
            raise UnknownResultError(reason)
        walk = _Walk(dialect.name)
        walk.visit(metadata)
        tables = list(metadata.tables.values())
        self._listening = _Listening((metadata, *tables))
        self._all = _Containers(walk.containers)
        self._of_names = _Containers(
            [vars(metadata), metadata.tables]
            + [container for table in tables for container in (vars(table), table.constraints)]
        )
        self._collections = walk.collections
        self._orders = list(map(_in_order, walk.collections))
        self._asked = [(found, _spelt(found, dialect)) for found in walk.asked]

    def holds(self, dialect: Any) -> bool:
        """Whether the metadata is what it was, in this dialect."""
        try:
            return (
                self._all.hold()
                and self._listening.holds()
                and all(map(is_, map(_in_order, self._collections), self._orders))
                and all(_spelt(found, dialect) == before for found, before in self._asked)
            )
        except UnknownResultError:
            return False

    def holds_for_names(self) -> bool:
        """Whether the same tables would be dropped: where there is nothing but tables."""
        return self._of_names.hold() and self._listening.holds()


class _Containers:
    """Containers as they are now."""

    def __init__(self, found: Sequence[Any]) -> None:
        self._empty = [container for container in found if not container]
        self._filled = [container for container in found if container]
        self._copies = [_copy(container) for container in self._filled]

    def hold(self) -> bool:
        """Whether all are what they were."""
        try:
            return not any(self._empty) and self._filled == self._copies
        except TypeError:  # a new clause, which has no truth value
            return False


class _Listening:
    """Who listens to what is made or dropped.

    Raises:
        UnknownResultError: A function of the user's, which would have to be called.
    """

    def __init__(self, targets: Sequence[Any]) -> None:
        self._dispatches = [target.dispatch for target in targets]
        self._before = list(map(_listened_to, self._dispatches))
        lists: dict[int, Any] = {}
        for collection in {one for several in self._before for one in several}:
            for name in ("listeners", "parent_listeners"):  # of the one, and of its class
                found = getattr(collection, name)
                lists[id(found)] = found
        heard = [listener for found in lists.values() for listener in found]
        for listener in heard:
            if not _is_known(listener):
                raise UnknownResultError(f"an event listener, {_name(listener)}")
        statements = [vars(listener) for listener in heard if isinstance(listener, DDLElement)]
        self._containers = _Containers([*lists.values(), *statements])

    def holds(self) -> bool:
        """Whether nobody else does."""
        return list(map(_listened_to, self._dispatches)) == self._before and (
            self._containers.hold()
        )


class DialectKeys:
    """Tells dialects apart, of which each new engine has one: two with the same key compile alike.

    The key is everything plain that a dialect was configured with. What a descriptor has cached is
    left out: it is derived from the rest, and is there when it was needed.
    """

    def __init__(self) -> None:
        self._configured: dict[tuple[type, tuple[str, ...]], tuple[str, ...]] = {}

    def of(self, dialect: Any) -> tuple[object, ...]:
        """A dialect's key."""
        kind, values = type(dialect), vars(dialect)
        form = (kind, tuple(values))
        names = self._configured.get(form)
        if names is None:
            names = tuple(
                name for name in values if not hasattr(getattr(kind, name, None), "__get__")
            )
            self._configured[form] = names
        plain = [
            (name, type(value), repr(value) if isinstance(value, tuple) else value)
            for name in names
            if isinstance(value := values[name], _CONFIGURED)
        ]
        return (kind, dialect.ddl_compiler, dialect.preparer, *plain)


class _Walk:
    """All containers that can be reached from a metadata, as one dialect sees it."""

    def __init__(self, dialect: str) -> None:
        self.containers: list[Any] = []
        self.collections: list[Any] = []
        self.asked: list[Any] = []
        self._dialect = dialect
        self._seen: dict[int, Any] = {}

    def visit(self, start: Any) -> None:
        """Without recursion: schemas are chains of foreign keys as long as they like."""
        waiting = [start]
        while waiting:
            found = waiting.pop()
            if id(found) not in self._seen and not isinstance(found, _PLAIN):
                self._seen[id(found)] = found
                waiting += self._inside(found)

    def _inside(self, found: Any) -> Iterable[Any]:
        if isinstance(found, dict):
            self.containers.append(found)
            return found.values()
        if isinstance(found, list | set):
            self.containers.append(found)
            return found
        if isinstance(found, tuple | frozenset):
            return found
        if isinstance(found, _SCHEMA):
            return self._attributes(found)
        if hasattr(found, _ORDERED):
            self.collections.append(found)
            return [getattr(found, _ORDERED)]
        return ()

    def _attributes(self, found: Any) -> Iterable[Any]:
        if _is_made_by_code(found):
            self.asked.append(found)
        attributes = vars(found)
        self.containers.append(attributes)
        if "dialect_options" in attributes or isinstance(found, DialectKWArgs):
            yield found.dialect_options[self._dialect]._non_defaults
        for key, value in attributes.items():
            if key not in _WITHOUT_EFFECT:
                yield value


def _copy(container: Any) -> Any:
    """Plain: a subclass may be made otherwise (``defaultdict``), and compares as its base does."""
    kind = next(kind for kind in (dict, list, set, deque, tuple) if isinstance(container, kind))
    return kind(container)


def _is_made_by_code(found: Any) -> bool:
    """Whether its text in a statement comes from a function that is not the library's."""
    kind = type(found)
    if isinstance(found, Table | MetaData):
        return False
    if hasattr(kind, "_compiler_dispatcher"):  # sqlalchemy.ext.compiler.compiles
        return True
    if _is_of_libraries(kind.__module__):
        return False
    if isinstance(found, TypeDecorator):
        return any(_is_overridden(kind, name) for name in _MADE_BY_CODE)
    return True


def _is_overridden(kind: type, name: str) -> bool:
    owner = next(base for base in kind.__mro__ if name in vars(base) or base is object)
    return owner is not object and not _is_of_libraries(owner.__module__)


def _is_of_libraries(module: str) -> bool:
    return module.partition(".")[0] in _OF_LIBRARIES


def _spelt(found: Any, dialect: Any) -> str:
    try:
        return str(found.compile(dialect=dialect))
    except Exception as error:  # the user's code: SQLAlchemy's own run shows what it raises
        raise UnknownResultError(f"{_name(type(found))}, which cannot be compiled alone") from error


def compiled_by_user(dialect: str) -> str | None:
    """Why the DDL itself is not SQLAlchemy's, or None."""
    waiting: list[Any] = [DDLElement]
    while waiting:
        kind = waiting.pop()
        waiting += type.__subclasses__(kind)
        dispatcher = getattr(kind, "_compiler_dispatcher", None)
        if dispatcher is None or not kind.__module__.startswith("sqlalchemy."):
            continue
        function = dispatcher.specs.get(dialect) or dispatcher.specs.get("default")
        if not _is_of_libraries(getattr(function, "__module__", "")):
            return f"{kind.__name__} is compiled by a function of the project"
    return None


def listeners(metadata: MetaData) -> Iterator[Any]:
    """All that is called or sent when the metadata or one of its tables is made or dropped."""
    for target in (metadata, *metadata.tables.values()):
        for name in _LISTENED_TO:
            yield from getattr(target.dispatch, name)


def _is_known(listener: Any) -> bool:
    """DDL without conditions in Python, or what a type of SQLAlchemy's own listens with."""
    if isinstance(listener, DDLElement):
        condition = getattr(listener, "_ddl_if", None)
        return getattr(condition, "callable_", getattr(listener, "callable_", None)) is None
    while isinstance(listener, functools.partial):
        listener = listener.func
    target = getattr(listener, "target", getattr(listener, "__self__", None))
    method = getattr(
        type(target), getattr(listener, "name", getattr(listener, "__name__", "")), None
    )
    module = getattr(method, "__module__", "")
    return isinstance(target, TypeEngine) and module.startswith("sqlalchemy.")


def _name(found: Any) -> str:
    return str(getattr(found, "__qualname__", None) or repr(found))
