"""Tortoise's ``generate_schemas``, also by its contexts and initialisers for tests.

All of them send one script that Tortoise has made of its models, so the script says what the models
are. The invariant: whatever is not Tortoise's own client for SQLite, PostgreSQL or MySQL runs as it
is written.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tortoise.backends.base.schema_generator import BaseSchemaGenerator

from pytest_slipstream.databases.memoising.attempts import Attempts
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.sqlite_results import SqliteResults, plain
from pytest_slipstream.databases.memoising.tortoise import on_mysql
from pytest_slipstream.databases.memoising.tortoise.databases import CLIENT, TortoiseDatabases
from pytest_slipstream.databases.memoising.tortoise.on_mysql import TortoiseOnMysql
from pytest_slipstream.databases.memoising.worth import Worth

LABEL = "generate_schemas on SQLite"
_ON_SQLITE = ("tortoise.backends.sqlite.client", "SqliteClient")
_METHOD = "generate_from_string"
_T = TypeVar("_T")


class TortoiseCalls:
    """Stands in for the method that sends the script, from `put_up` to `take_down`."""

    def __init__(
        self,
        ledger: Ledger,
        checking: Checking,
        databases: TortoiseDatabases,
        on_mysql: TortoiseOnMysql,
    ) -> None:
        self._ledger = ledger
        self._databases = databases
        self._on_mysql = on_mysql
        self._attempts = Attempts(ledger, checking)
        self._worth = Worth()
        self._results = SqliteResults(ledger, checking)
        self._original: Any = vars(BaseSchemaGenerator)[_METHOD]

    def put_up(self) -> None:
        """Replace the method."""
        original = self._original

        @functools.wraps(original)
        async def generate_from_string(generator: Any, creation_string: str) -> None:
            client = generator.client
            if (type(client).__module__, type(client).__qualname__) == _ON_SQLITE:
                as_written = functools.partial(original, generator, creation_string)
                await self._run(client, creation_string, as_written)
            elif (type(client).__module__, type(client).__qualname__) == CLIENT:
                as_written = functools.partial(original, generator, creation_string)
                await self._databases.generate(client, creation_string, as_written)
            elif (type(client).__module__, type(client).__qualname__) == on_mysql.CLIENT:
                as_written = functools.partial(original, generator, creation_string)
                await self._on_mysql.generate(client, creation_string, as_written)
            else:
                reason = f"a client of the class {type(client).__qualname__}"
                self._ledger.as_written("generate_schemas", reason)
                await original(generator, creation_string)

        setattr(BaseSchemaGenerator, _METHOD, generate_from_string)

    def take_down(self) -> None:
        """Put it back."""
        setattr(BaseSchemaGenerator, _METHOD, self._original)

    async def _run(
        self, client: Any, script: str, as_written: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Restore what the script comes to, or let it run and learn from it."""
        attempt = self._attempts.begin(LABEL, self._worth, script)
        if attempt is None:
            await as_written()
            return
        learn = unknown = None
        try:
            learn = await _on(client, lambda driver: self._results.begin(driver, LABEL, script))
        except UnknownResultError as reason:
            unknown = str(reason)
        if unknown is not None:
            attempt.refused(unknown)
            with attempt.writing():
                await as_written()
            return
        if learn is None:
            attempt.replaced()
            return
        with attempt.writing():
            await as_written()
        await _on(client, learn)
        attempt.made()


async def _on(client: Any, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Do work in the thread of the client's connection, while nobody else uses it."""
    async with client.acquire_connection() as connection:
        found: _T = await connection._execute(lambda: work(plain(connection._conn)))
        return found
