"""Tortoise's ``generate_schemas`` on MariaDB and MySQL.

The script is the key. Tortoise drops no tables there but with their database. The invariant: what
is not Tortoise's own client, outside of a transaction, runs as it is written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising.awaiting import awaiting
from pytest_slipstream.databases.memoising.ledger import Ledger, UnknownResultError
from pytest_slipstream.databases.memoising.mysql.on_mysql import PRODUCT, OnMysql, Tablesets
from pytest_slipstream.databases.memoising.operations import Operation

CLIENT = ("tortoise.backends.mysql.client", "MySQLClient")
LABEL = f"generate_schemas on {PRODUCT}"


class TortoiseOnMysql:
    """The scripts of one process.

    Args:
        ledger: Counts what is restored.
        on_mysql: Replaces operations.
    """

    def __init__(self, ledger: Ledger, on_mysql: OnMysql) -> None:
        self._ledger = ledger
        self._on_mysql = on_mysql
        self._known: dict[str, Tablesets] = {}

    async def generate(
        self, client: Any, script: str, as_written: Callable[[], Awaitable[None]]
    ) -> None:
        """Make the tables of a script be there, or let it run and learn from it."""
        began_s = clock.seconds()
        learn: Callable[[], None] | None = None
        unknown = None
        try:
            if script in self._known:
                learn = await self._run(client, script)
                if learn is None:
                    self._ledger.replaced(LABEL, clock.seconds() - began_s)
                    return
            self._known.setdefault(script, {})
        except UnknownResultError as reason:
            unknown = str(reason)
        if unknown is not None:
            self._ledger.as_written(LABEL, unknown)
            await as_written()
            return
        began_s = clock.seconds()
        await as_written()
        self._ledger.made(LABEL, clock.seconds() - began_s)
        if learn is not None:
            learn()

    async def _run(self, client: Any, script: str) -> Callable[[], None] | None:
        async with client.acquire_connection() as connection:
            async with connection.cursor() as cursor:

                async def send(statement: str) -> Any:
                    await cursor.execute(statement)
                    return await cursor.fetchall() if cursor.description else ()

                return await awaiting(
                    send,
                    lambda session: self._on_mysql.run(
                        session, connection, Operation(True, script), LABEL, self._known[script]
                    ),
                )
