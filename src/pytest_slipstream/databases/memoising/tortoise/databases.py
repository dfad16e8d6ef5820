"""Databases of PostgreSQL that Tortoise makes for tests, each with the tables of its models.

After the second one there is a template, of which those that follow are copies; there
`generate_schemas` brings the tables into sight. The invariant: a template is used only as long as
nobody has written to the server's own, ``template1``, of which it is a copy itself.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, TypeVar

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising.awaiting import awaiting
from pytest_slipstream.databases.memoising.checking import Checking
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.operations import Session
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX
from pytest_slipstream.databases.memoising.tortoise import templates
from pytest_slipstream.databases.memoising.tortoise.templates import Server, Template

LABEL = "generate_schemas on PostgreSQL"
CLIENT = ("tortoise.backends.asyncpg.client", "AsyncpgDBClient")
# Since version 15, counters are right as soon as a session has ended, and a copy is made by files
# where that is told; it ends in a checkpoint, which is quick where nothing is synced. As long as
# somebody is connected to it, `template1` cannot be copied.
_SOURCE = """
SELECT /* slipstream */ concat_ws(' ', pg_postmaster_start_time(), d.oid, tup_inserted, tup_updated,
    tup_deleted, stats_reset,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = 'template1')) AS source,
    current_setting('server_version_num')::integer AS version, current_setting('fsync') AS syncs
FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid WHERE d.datname = 'template1'
"""
_LEAST_VERSION = 150000
_FRUITLESS = 5
"""After so many copies in a row that were of no use, there are no more."""
_METHOD = "db_create"
_T = TypeVar("_T")
_AsWritten = Callable[[], Awaitable[None]]


class _New:
    """A database that was just made: of a template, or else what ``template1`` was like then."""

    def __init__(self, template: Template | None, source: str | None) -> None:
        self.template = template
        self.source = source


class TortoiseDatabases:
    """All of one process.

    Args:
        ledger: Counts what is restored.
        checking: Says what is to be compared.
    """

    def __init__(self, ledger: Ledger, checking: Checking) -> None:
        self._ledger = ledger
        self._checking = checking
        self._numbers = itertools.count(1)
        self._new: dict[tuple[Server, str], _New] = {}
        self._seen: set[tuple[Server, str]] = set()
        self._templates: dict[Server, Template] = {}
        self._fruitless: Counter[Server] = Counter()
        self._undo: Callable[[], None] = lambda: None

    def put_up(self) -> None:
        """Replace the clients' way to make a database."""
        from tortoise.backends.base_postgres.client import BasePostgresClient

        original = vars(BasePostgresClient)[_METHOD]

        @functools.wraps(original)
        async def db_create(client: Any) -> None:
            await self._create(client, functools.partial(original, client))

        setattr(BasePostgresClient, _METHOD, db_create)
        self._undo = lambda: setattr(BasePostgresClient, _METHOD, original)

    def take_down(self) -> None:
        """Put it back, and drop what is slipstream's."""
        self._undo()
        for (server, database), new in self._new.items():
            if new.template is not None:
                templates.discard(server, database)
        for server, template in self._templates.items():
            templates.drop(server, template.name)
        self._new.clear()
        self._templates.clear()

    async def generate(self, client: Any, script: str, as_written: _AsWritten) -> None:
        """Bring the tables of a script into sight, or let it run and learn from it."""
        began_s = clock.seconds()
        unknown = None
        try:
            server = _server(client)
            new = self._new.pop((server, client.database), _New(None, None))
            expected = await self._restored(server, client, script, new.template)
        except UnknownResultError as reason:
            unknown = str(reason)
        if unknown is not None:
            self._ledger.as_written(LABEL, unknown)
            await as_written()
            return
        if new.template is not None and expected is None:
            self._ledger.replaced(LABEL, clock.seconds() - began_s)
            return
        restoring_s, began_s = clock.seconds() - began_s, clock.seconds()
        await as_written()
        if expected:
            self._ledger.replaced(LABEL, restoring_s)
            content = templates.content_of(server, client.database)
            self._checking.compare(LABEL, content, expected)
            return
        self._ledger.made(LABEL, clock.seconds() - began_s)
        if new.source is not None:
            self._learn(server, client.database, script, new.source)

    async def _restored(
        self, server: Server, client: Any, script: str, template: Template | None
    ) -> dict[str, str] | None:
        """What would be restored, if that is to be compared; empty if nothing can be; None where it
        is done.

        Raises:
            UnknownResultError: The database has changed since it was made.
        """
        if template is None:
            return {}
        try:
            if template.script != script:
                raise UnknownResultError("a script that is another than for the last database")
            is_due = self._checking.is_due(LABEL)
            found = await _in_transaction(
                client, lambda own: templates.restore(own, template, only_try=is_due)
            )
        except UnknownResultError:
            self._fruitless[server] += 1
            templates.discard(server, client.database)
            raise
        self._fruitless[server] = 0
        if is_due:
            templates.discard(server, client.database)
        return found if is_due else None

    def _learn(self, server: Server, database: str, script: str, source: str) -> None:
        """Make a template the second time that a script has run in a new database."""
        if (server, script) not in self._seen:
            self._seen.add((server, script))
            return
        old = self._templates.pop(server, None)
        if old is not None:
            templates.drop(server, old.name)
        if self._fruitless[server] > _FRUITLESS:
            return
        self._fruitless[server] += 1
        name = f"{PREFIX}{os.getpid()}_tortoise{next(self._numbers)}"
        try:
            self._templates[server] = templates.build(server, database, name, script, source)
        except UnknownResultError as reason:
            self._ledger.as_written(LABEL, str(reason))

    def _template(self, server: Server, source: str | None) -> Template | None:
        template = self._templates.get(server)
        is_of_use = self._fruitless[server] <= _FRUITLESS
        return (
            template if template is not None and template.source == source and is_of_use else None
        )

    async def _create(self, client: Any, original: _AsWritten) -> None:
        """Make a database, as a copy of a template if there is one."""
        server: Server | None = None
        with suppress(UnknownResultError):
            server = _server(client)
        if server is None:
            await original()
            return
        new = _New(None, None)
        statement = f'CREATE DATABASE "{client.database}" OWNER "{client.user}"'
        execute_script = client.execute_script

        async def execute(query: str) -> None:
            if query == statement:
                new.source = await _source(client)
                template = self._template(server, new.source)
                if template is not None and await _succeeds(
                    execute_script, f"{query} TEMPLATE {template.name} STRATEGY FILE_COPY"
                ):
                    new.template = template
                    return
            await execute_script(query)

        client.execute_script = execute
        try:
            await original()
        finally:
            del client.execute_script
        self._new[server, client.database] = new


async def _succeeds(execute: Callable[[str], Awaitable[None]], statement: str) -> bool:
    try:
        await execute(statement)
    except Exception:  # noqa: BLE001 - each driver has its own; the statement as written will say it
        return False
    return True


async def _source(client: Any) -> str | None:
    """What ``template1`` is like; None if that cannot be known, or copying is slow."""
    (found,) = await client.execute_query_dict(_SOURCE)
    is_known = found["version"] >= _LEAST_VERSION and found["syncs"] == "off"
    return str(found["source"]) if is_known else None


async def _in_transaction(client: Any, work: Callable[[Session], _T]) -> _T:
    """Do work over a connection of the client's, in a transaction of its own."""
    async with client.acquire_connection() as connection:
        async with connection.transaction():
            return await awaiting(connection.fetch, work)


def _server(client: Any) -> Server:
    """Where a client's database is.

    Raises:
        UnknownResultError: It connects in a way of its own.
    """
    kind = type(client)
    if (kind.__module__, kind.__qualname__) != CLIENT:
        raise UnknownResultError(f"a client of the class {kind.__qualname__}")
    if find_spec("psycopg") is None:
        raise UnknownResultError("psycopg, which is not installed")
    settings = (client.extra, client.server_settings, client.schema)
    password = client.password
    if any(settings) or not isinstance(password, str | None) or not client.host or not client.user:
        raise UnknownResultError("a connection with settings of its own")
    directory = client.host.partition("/.s.PGSQL.")[0]  # asyncpg also takes the socket's own name
    return Server(directory, client.port, client.user, password)
