"""The application's SQLAlchemy engines, pointed at the lane that is entered. 1.4 and 2.x.

An engine that was made at import has the URL of the lane that was entered then. While another lane
is entered, the engine object has that lane's URL, dialect and pool, so that sessions, sessionmakers
and functions that hold it reach the other database. The invariant: on its own lane, and after
`close`, an engine has what it was made with. Engines are found, not named: those whose URL targets
a slot.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import create_engine, exc
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import NullPool

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.lanes.lane import Lane
from pytest_slipstream.databases.lanes.live_objects import live
from pytest_slipstream.errors import ConfigurationError

_KEY = "_slipstream_places"
_MADE = "_slipstream_made"
_CHARACTERISTICS = "_set_connection_characteristics"


class _Places:
    """What an engine has on each lane that it has been on: URL, dialect and pool.

    Args:
        run: Whose it is.
        engine: As it was made.
        home: The lane that it was made on.
        database: The key of its database.
    """

    def __init__(self, run: SQLAlchemyEngines, engine: Any, home: Lane, database: str) -> None:
        self.run = run
        self.home = home
        self.database = database
        self._at = home.name
        self._parts = {home.name: _parts(engine)}

    def has(self, lane: str) -> bool:
        return lane in self._parts

    def add(self, lane: str, made: Any) -> None:
        """Take the parts of an engine that was made for ``lane``."""
        self._parts[lane] = _parts(made)

    def put(self, engine: Any, lane: str) -> None:
        """Give the engine its parts on ``lane``; it may have a new pool since it got the last."""
        self._parts[self._at] = _parts(engine)
        self._at = lane
        engine.url, engine.dialect, engine.pool = self._parts[lane]


def _parts(engine: Any) -> tuple[Any, Any, Any]:
    return engine.url, engine.dialect, engine.pool


class SQLAlchemyEngines:
    """Follows all engines, those that exist already included, until `close`.

    Args:
        lanes: All lanes of the run.
        entered: The lane that is entered now.
    """

    def __init__(self, lanes: Mapping[str, Lane], entered: Lane) -> None:
        self._slots = {
            database.slot_name: (lane, key)
            for lane in lanes.values()
            for key, database in lane.databases.items()
        }
        self._entered = entered
        self._initialise = Engine.__init__
        Engine.__init__ = self._and_point(Engine.__init__)  # type: ignore[method-assign]

    def _and_point(self, initialise: Callable[..., None]) -> Callable[..., None]:
        """Settings that were read on one lane may be used for an engine first on another."""

        def __init__(engine: Engine, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            initialise(engine, *args, **kwargs)
            self._point(engine)

        return __init__

    def enter(self, lane: Lane) -> None:
        """Point all engines at ``lane``.

        Raises:
            ConfigurationError: There is no driver for an engine there.
        """
        _close_sessions()
        self._entered = lane
        engines = live(Engine)
        for engine in engines:
            self._point(engine)
        _follow_roots(engines)

    def _point(self, engine: Any) -> None:
        if not vars(engine).keys().isdisjoint(("_proxied", _MADE)):
            return
        places = self._known(engine) or self._found(engine)
        if places is None:
            return
        if not places.has(self._entered.name):
            places.add(self._entered.name, self._made(engine, places))
        places.put(engine, self._entered.name)

    def _known(self, engine: Any) -> _Places | None:
        places: _Places | None = vars(engine).get(_KEY)
        return places if places is not None and places.run is self else None

    def _found(self, engine: Any) -> _Places | None:
        for word in re.findall(r"\w+", engine.url.database or ""):
            if word in self._slots:
                places = vars(engine)[_KEY] = _Places(self, engine, *self._slots[word])
                _defer_to_connection(engine.dialect)
                return places
        return None

    def _made(self, engine: Any, places: _Places) -> Engine:
        """An engine like ``engine`` on the lane that is entered."""
        failure: Exception | None = None
        for url in self._urls(engine, places):
            try:
                made = _like(engine, url)
            except (ImportError, exc.NoSuchModuleError, exc.InvalidRequestError) as error:
                failure = error
                continue
            if made.dialect.is_async == engine.dialect.is_async:
                _defer_to_connection(made.dialect)
                vars(made)[_MADE] = True  # it lives on in its pool, and stays where it is
                return made
        kind = "an asynchronous" if engine.dialect.is_async else "a synchronous"
        raise ConfigurationError(
            f"the application's engine for {urls.redact(str(engine.url))} cannot reach the lane "
            f"{self._entered.name!r}: there is no driver for {kind} engine ({failure})",
            hint="install one, or name another with `driver` in the lane's table of the database",
        )

    def _urls(self, engine: Any, places: _Places) -> Iterator[URL]:
        """The value of the variable from which the engine got its URL; else the slot's own URL."""
        here, there = places.home.variables.values, self._entered.variables.values
        for variable in here.keys() & there.keys():
            if _parsed(here[variable]) == engine.url:
                yield make_url(there[variable])
        database = self._entered.databases[places.database]
        render = urls.async_url if engine.dialect.is_async else urls.sync_url
        yield make_url(render(database.address, database.settings.driver))

    def close(self) -> None:
        """Put every engine back, and follow no more.

        An engine keeps its pools of the other lanes, as it keeps its own, until the process ends:
        nobody could close an asynchronous one now.
        """
        Engine.__init__ = self._initialise  # type: ignore[method-assign]
        engines = live(Engine)
        for engine in engines:
            places = self._known(engine)
            if places is not None:
                places.put(engine, places.home.name)
                vars(engine.dialect).pop(_CHARACTERISTICS, None)
        _follow_roots(engines)


def _like(engine: Any, url: URL) -> Engine:
    """An engine at ``url``, with those of the other's options that belong to no product."""
    options: dict[str, Any] = {}
    is_async = engine.dialect.is_async
    default = engine.dialect.get_pool_class(engine.url)
    if isinstance(engine.pool, NullPool) and (is_async or not issubclass(default, NullPool)):
        options["poolclass"] = NullPool  # connections of a pool would belong to one event loop
    for name in ("json_serializer", "json_deserializer"):
        if (value := getattr(engine.dialect, f"_{name}", None)) is not None:
            options[name] = value
    if not is_async:
        return create_engine(url, **options)
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine(url, **options).sync_engine


def _parsed(text: str) -> URL | None:
    try:
        return make_url(text)
    except exc.ArgumentError:
        return None


def _follow_roots(engines: Iterable[Any]) -> None:
    """What `Engine.execution_options` returned has the parts of the engine that it came from."""
    for engine in engines:
        root = engine
        while "_proxied" in vars(root):
            root = root._proxied
        if root is not engine:
            engine.url, engine.dialect = root.url, root.dialect


def _defer_to_connection(dialect: Any) -> None:
    """Let options such as ``isolation_level`` be set by the dialect that the engine then has.

    An engine's listener for them is bound to the dialect that it was made with.
    """

    def set_characteristics(connection: Any, wanted: Mapping[str, Any]) -> None:
        actual = connection.dialect
        known = {n: value for n, value in wanted.items() if n in actual.connection_characteristics}
        getattr(type(actual), _CHARACTERISTICS)(actual, connection, known)

    if hasattr(dialect, _CHARACTERISTICS):
        setattr(dialect, _CHARACTERISTICS, set_characteristics)


def _close_sessions() -> None:
    """A session that was left in a transaction would go on with the other lane's connection."""
    if (orm := sys.modules.get("sqlalchemy.orm")) is None:
        return
    for session in live(orm.Session):
        if session.in_transaction() and not _is_asynchronous(session):
            session.close()


def _is_asynchronous(session: Any) -> bool:
    """Such a session can be closed on its own loop alone, and may outlive its `AsyncSession`."""
    return any(target.dialect.is_async for target in session.get_transaction()._connections)
