"""Pools of the application whose connections went with a replaced slot.

The invariant: after `discard`, no pool hands out a connection that is dead. Pools are found, not
named: SQLAlchemy's through its own events, Peewee's as they connect, others among the live objects
of the process, and only libraries that the application itself has imported are looked at.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

from pytest_slipstream.databases.routing.ownership import Ownership


class Followed(Protocol):
    """All pools of one library, followed until `close`."""

    def discard(self) -> None:
        """See to it that no dead connection is handed out."""

    def begin_test(self) -> None:
        """What is in use by now belongs to wider fixtures."""

    def roll_back(self, database: str) -> list[str]:
        """End the transactions that a test left on connections to ``database``, in words."""

    async def leave_slots(self) -> None:
        """Close the connections to the slots of tests in flight."""

    def close(self) -> None:
        """Follow no more."""


class Pools:
    """All pools of this process.

    Args:
        ownership: Whose the running code is, while tests are in flight together.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._followed: dict[str, Followed] = {}

    def watch(self) -> None:
        """Follow the pools of each library that the application has imported; before each test."""
        for library, (module, name) in _FOLLOWED.items():
            if library not in self._followed and library in sys.modules:
                made = getattr(import_module(module, __package__), name)
                self._followed[library] = made(self._ownership)

    def discard(self) -> None:
        """Have every pool replace its connections before it hands them out."""
        self.watch()
        for followed in self._followed.values():
            followed.discard()
        treatments = [
            (getattr(sys.modules[module], name), treat)
            for module, name, treat in _TREATMENTS
            if module in sys.modules
        ]
        for found in gc.get_objects() if treatments else ():
            for kind, treat in treatments:
                # type(), not isinstance(): a lazy object's __class__ may be code that does work.
                if issubclass(type(found), kind):
                    treat(found)

    def begin_test(self) -> None:
        """What is in use by now belongs to wider fixtures."""
        for followed in self._followed.values():
            followed.begin_test()

    def roll_back(self, database: str) -> list[str]:
        """End the transactions that a test left on pooled connections to ``database``."""
        return [
            found for followed in self._followed.values() for found in followed.roll_back(database)
        ]

    async def leave_slots(self) -> None:
        """Close the connections to the slots of tests in flight, on their event loop."""
        for followed in self._followed.values():
            await followed.leave_slots()

    def close(self) -> None:
        """Stop following."""
        while self._followed:
            self._followed.popitem()[1].close()


def _check_each(pool: Any) -> None:
    # What the pool's own argument check= does; without it a dead connection is handed out.
    if pool._check is None:
        pool._check = type(pool).check_connection


def _expire(pool: Any) -> None:
    # A coroutine that never waits: one step runs it to its end, on whichever event loop.
    try:
        pool.expire_connections().send(None)
    except StopIteration:
        return


def _empty(pool: Any) -> None:
    while pool._pool:
        connection = pool._pool.pop()
        connection.close()
        pool._rused.pop(id(connection), None)


def _drop_free(pool: Any) -> None:
    while pool._free:
        connection = pool._free.pop()
        with suppress(RuntimeError):  # its event loop is closed
            connection.close()


_FOLLOWED = {
    "sqlalchemy.pool": (".sqlalchemy_pools", "SQLAlchemyPools"),
    "peewee": (".peewee_databases", "PeeweeDatabases"),
}
_TREATMENTS = (
    ("psycopg_pool", "ConnectionPool", _check_each),
    ("psycopg_pool", "AsyncConnectionPool", _check_each),
    ("asyncpg.pool", "Pool", _expire),
    ("aiomysql.pool", "Pool", _drop_free),
    ("asyncmy.pool", "Pool", _drop_free),
    ("psycopg2.pool", "AbstractConnectionPool", _empty),
)
