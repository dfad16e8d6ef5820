"""The fixtures: `db`, `db_url`, `db_engine`, `db_session`, `async_db_engine`, `async_db_session`.

They need nothing of the user's own. SQLAlchemy is imported when a fixture that needs it is used.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MethodType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slipstream.databases import urls
from pytest_slipstream.databases.database import Database
from pytest_slipstream.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session


class SlotOfTest:
    """The slot that the running test owns: the value of the fixture `db`.

    ``db["audit"]`` is the same for another configured database.
    """

    def __init__(self, database: Database, others: Mapping[str, Database]) -> None:
        self._database = database
        self._others = others

    def __getitem__(self, name: str) -> SlotOfTest:
        if name not in self._others:
            raise ConfigurationError(
                f"db[{name!r}]: no database of that name is configured",
                hint=f"configured are {', '.join(self._others)}",
            )
        return SlotOfTest(self._others[name], self._others)

    @property
    def name(self) -> str:
        """The database's name on its server; for SQLite its file."""
        address = self._database.address
        return address.path or address.database

    @property
    def url(self) -> str:
        """The SQLAlchemy URL, with the configured driver."""
        return urls.url(self._database.address, self._database.settings.driver)

    @property
    def touched(self) -> tuple[str, ...]:
        """The tables that the test has written to and committed so far, as ``schema.table``."""
        return self._database.slot.touched()

    def connect(self) -> Any:
        """A new DB-API connection (psycopg, PyMySQL or sqlite3); the caller closes it."""
        return self._database.engine.connect(self._database.address)

    def __repr__(self) -> str:
        return f"<db {urls.redact(self.url)}>"


class DatabaseFixtures:
    """The fixtures as methods of a plugin, so that their state is the run's."""

    def __init__(self, databases_of: Callable[[object], Mapping[str, Database]]) -> None:
        self._databases_of = databases_of
        self._engines: dict[str, Engine] = {}
        self._async_engines: dict[str, AsyncEngine] = {}

    def _of(self, request: pytest.FixtureRequest) -> Database:
        """The database that the nearest ``db`` mark names first, else the first configured."""
        for mark in request.node.iter_markers("db"):
            named = mark.kwargs.get("database")
            if named:
                databases = self._databases_of(request.node)
                return databases[named if isinstance(named, str) else named[0]]
        return next(iter(self._databases_of(request.node).values()))

    @pytest.fixture
    def db(self, request: pytest.FixtureRequest) -> SlotOfTest:
        """The test's slot: url, name, connect(), touched."""
        return SlotOfTest(self._of(request), self._databases_of(request.node))

    @pytest.fixture
    def db_url(self, db: SlotOfTest) -> str:
        """The SQLAlchemy URL of the test's slot."""
        return db.url

    @pytest.fixture
    def db_engine(self, request: pytest.FixtureRequest) -> Engine:
        """A SQLAlchemy engine on the test's slot; its pool lives as long as the run."""
        database = self._of(request)
        if database.slot_name not in self._engines:
            sqlalchemy = _sqlalchemy("sqlalchemy", "db_engine")
            url = urls.sync_url(database.address, database.settings.driver)
            with _driver_named(database):
                self._engines[database.slot_name] = sqlalchemy.create_engine(url)
        return self._engines[database.slot_name]

    @pytest.fixture
    def db_session(self, db_engine: Engine) -> Iterator[Session]:
        """A SQLAlchemy session on the test's slot; what the test commits is committed."""
        with _sqlalchemy("sqlalchemy.orm", "db_session").Session(db_engine) as session:
            yield session

    @pytest.fixture
    def async_db_engine(self, request: pytest.FixtureRequest) -> AsyncEngine:
        """An asynchronous SQLAlchemy engine on the test's slot; it lives as long as the run.

        Its pool leaves connections of an event loop that is gone, see `routing`. SQLite has no
        pool: a connection costs little there, and each is a thread.
        """
        database = self._of(request)
        if database.slot_name not in self._async_engines:
            asyncio = _sqlalchemy("sqlalchemy.ext.asyncio", "async_db_engine")
            database.around.pools.watch()
            url = urls.async_url(database.address, database.settings.driver)
            null_pool = _sqlalchemy("sqlalchemy.pool", "async_db_engine").NullPool
            options = {"poolclass": null_pool} if database.settings.engine == "sqlite" else {}
            with _driver_named(database):
                self._async_engines[database.slot_name] = asyncio.create_async_engine(
                    url, **options
                )
        return self._async_engines[database.slot_name]


class AsyncSessions:
    """Sees to it that the plugin that runs a test's event loop runs `async_db_session` too."""

    has_asyncio = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Hand the fixture to anyio where the test is anyio's."""
        __tracebackhide__ = True
        if fixturedef.argname != "async_db_session" or fixturedef.baseid:
            return (yield)
        if not inspect.isasyncgenfunction(fixturedef.func):  # the run loop made it synchronous
            return (yield)
        if "anyio_backend" not in request.fixturenames:
            if self.has_asyncio:
                return (yield)
            raise ConfigurationError(
                "the fixture async_db_session needs an event loop, and no plugin runs one",
                hint="pip install pytest-asyncio, or use anyio's marker @pytest.mark.anyio",
            )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fixturedef, "func", MethodType(_session_function(), self))
            return (yield)


def async_sessions(plugins: pytest.PytestPluginManager) -> AsyncSessions:
    """The plugin that has the fixture `async_db_session`.

    Works with pytest-asyncio (strict and auto) and with anyio. In strict mode pytest-asyncio runs
    only fixtures that its own decorator made, so which decorator it is depends on the run.
    """
    # By its module, since `-p` can load it under another name than its entry point's.
    has_asyncio = sys.modules.get("pytest_asyncio.plugin") in plugins.get_plugins()
    decorate = import_module("pytest_asyncio").fixture if has_asyncio else pytest.fixture
    attributes = {"has_asyncio": has_asyncio, "async_db_session": decorate(_session_function())}
    plugin: AsyncSessions = type("AsyncSessions", (AsyncSessions,), attributes)()
    return plugin


def _session_function() -> Callable[..., AsyncIterator[AsyncSession]]:
    async def async_db_session(
        self: object, async_db_engine: AsyncEngine
    ) -> AsyncIterator[AsyncSession]:
        """An asynchronous SQLAlchemy session on the test's slot."""
        session_class = _sqlalchemy("sqlalchemy.ext.asyncio", "async_db_session").AsyncSession
        async with session_class(async_db_engine, expire_on_commit=False) as session:
            yield session

    return async_db_session


def _sqlalchemy(module: str, fixture: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"the fixture {fixture} needs {module}, which cannot be imported: {error}",
            hint='pip install "pytest-slipstream[sqlalchemy]"',
        ) from error


@contextmanager
def _driver_named(database: Database) -> Iterator[None]:
    """An engine that cannot be made, for want of a driver, names the option that chose it."""
    try:
        yield
    except (ImportError, _sqlalchemy("sqlalchemy.exc", "db_engine").NoSuchModuleError) as error:
        raise ConfigurationError(
            f"database {database.name!r}: SQLAlchemy cannot load a driver for driver = "
            f"{database.settings.driver!r}: {error}",
            hint="install it, or name another driver in the database's table",
        ) from error
