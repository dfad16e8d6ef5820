"""What SQLAlchemy compiles, once for all engines that are alike.

An engine keeps the statements that it has compiled, so a suite that makes an engine for each test
compiles them all for each test, which takes longer than to send them. The invariant: an engine is
given what one with an equal dialect has compiled, as if the two were one; which statements are the
same is for SQLAlchemy's own key to say.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from pytest_slipstream import events
from pytest_slipstream.clock import clock
from pytest_slipstream.import_hook import ImportHook

OPERATION = "the compilation of a statement of SQLAlchemy's"
_KEPT = 1000
_COMPILE, _CLEAR = "_compile_w_cache", "clear_compiled_cache"
# Whose business is what is sent, and when.
_OF_NO_EFFECT = frozenset(("dispatch", "_invalidate_schema_cache_asof"))
# Made anew for each dialect by its class, from the rest; the first may be changed afterwards.
_COMPILING = {"identifier_preparer", "type_compiler", "type_compiler_instance"}
_PARTS = {"dbapi", "loaded_dbapi", "_psycopg_adapters_map", "_hstore_oids", "_decoder"}
# What a part has that is its dialect's own: the way back, and the names that it has quoted so far.
_OF_ONE = {"dialect", "_strings"}


class SharedStatements:
    """Stands behind the caches of engines and mappers from `put_up` to `take_down`."""

    def __init__(self) -> None:
        self._hook = ImportHook({"sqlalchemy": self._meet})
        self._undo: list[Callable[[], None]] = []
        self.likenesses = Likenesses()
        self.times = 0
        self.seconds = 0.0
        self.slow_seconds = 0.0

    def put_up(self) -> None:
        """From now on, or when SQLAlchemy is imported."""
        self._hook.put_up()

    def take_down(self) -> None:
        """SQLAlchemy is what it was; engines keep what they were given."""
        self._hook.take_down()
        while self._undo:
            self._undo.pop()()

    def report(self, emit: Callable[[events.Event], None]) -> None:
        """Tell how many statements were not compiled again."""
        if self.times:
            emit(
                events.OperationMemoised(
                    operation=OPERATION,
                    times=self.times,
                    seconds=self.seconds,
                    slow_seconds=self.slow_seconds,
                    checked=0,
                )
            )

    def _meet(self, module: ModuleType) -> None:
        from sqlalchemy.engine import Engine
        from sqlalchemy.sql.elements import ClauseElement
        from sqlalchemy.util import LRUCache

        if not hasattr(ClauseElement, _COMPILE):  # version 1.3 keeps nothing
            return
        shared: Any = LRUCache(_KEPT)

        def compiling(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def compile_once(*args: Any, **options: Any) -> Any:
                if type(own := options.get("compiled_cache")) is LRUCache:
                    options["compiled_cache"] = _Cache(own, shared, self)
                return original(*args, **options)

            return compile_once

        def clearing(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def clear(engine: Any) -> None:
                shared.clear()
                original(engine)

            return clear

        self._replace(ClauseElement, _COMPILE, compiling)
        self._replace(Engine, _CLEAR, clearing)

    def _replace(
        self, holder: Any, name: str, way: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        original = vars(holder)[name]
        setattr(holder, name, way(original))
        self._undo.append(lambda: setattr(holder, name, original))


class _Cache:
    """An engine's or a mapper's own cache, and the shared one behind it, for one statement.

    Args:
        own: Under keys that begin with the dialect.
        shared: Under keys that begin with what the dialect is like.
        run: What stands in, and counts.
    """

    __slots__ = ("_key", "_own", "_run", "_shared", "_since_s")

    def __init__(self, own: Any, shared: Any, run: SharedStatements) -> None:
        self._own = own
        self._shared = shared
        self._run = run
        self._key: Hashable = None
        self._since_s = 0.0

    def get(self, key: Any) -> Any:
        """What was compiled; None if nobody has done it."""
        compiled = self._own.get(key)
        if compiled is None:
            self._since_s = clock.seconds()
            like = self._run.likenesses.of(key[0])
            self._key = None if like is None else (like, *key[1:])
            found = None if like is None else self._shared.get(self._key)
            if found is not None:
                compiled, slow_s = found
                self._own[key] = compiled
                self._run.times += 1
                self._run.seconds += clock.seconds() - self._since_s
                self._run.slow_seconds += slow_s
        return compiled

    def __setitem__(self, key: Any, compiled: Any) -> None:
        self._own[key] = compiled
        if self._key is not None:
            self._shared[self._key] = (compiled, clock.seconds() - self._since_s)


class Likenesses:
    """Tells dialects apart, of which each engine has one: two that are alike compile alike."""

    def __init__(self) -> None:
        self._without: dict[type, frozenset[str]] = {}

    def of(self, dialect: Any) -> Hashable | None:
        """Everything that a dialect was made with and has learnt from its server.

        Returns:
            A value that is equal for dialects that are alike; None if there is none.
        """
        kind = type(dialect)
        if kind not in self._without:
            self._without[kind] = _OF_NO_EFFECT.union(_derived(kind))
        without = self._without[kind]
        try:
            return (kind, _values(dialect, without))
        except TypeError:  # something that cannot be hashed
            return None


def _values(of: Any, without: Collection[str]) -> frozenset[Hashable]:
    now = vars(of).copy()  # another thread may add to it
    return frozenset(
        (name, type(value), _comparable(name, value))
        for name, value in now.items()
        if name not in without
    )


def _comparable(name: str, value: Any) -> Any:
    if name in _COMPILING:
        return _values(value, _OF_ONE)
    if name in _PARTS and not isinstance(value, ModuleType):
        return None
    if isinstance(value, dict):
        return frozenset(value.items())
    return frozenset(value) if isinstance(value, set) else value


def _derived(kind: type) -> Iterator[str]:
    """The names of what descriptors keep in an object when it was needed, and make of the rest."""
    methods = (FunctionType, classmethod, staticmethod)  # in an object: put there by hand
    for base in kind.__mro__:
        for name, attribute in vars(base).items():
            if hasattr(attribute, "__get__") and not isinstance(attribute, methods):
                yield name
