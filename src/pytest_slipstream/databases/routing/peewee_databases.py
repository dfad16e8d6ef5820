"""Peewee's Databases that have connected to a slot: each keeps one connection for each thread.

Peewee has no events: `Database.connect`, through which pools connect too, is wrapped until `close`.
A Database forgets the connections of other threads by getting a new thread-local state.
"""

from __future__ import annotations

import re
import sys
import weakref
from contextlib import suppress
from functools import wraps
from typing import Any

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.routing.ownership import Ownership

_IN_TRANSACTION = (2, 3)  # libpq's PQTRANS_INTRANS and PQTRANS_INERROR
_SERVER_STATUS_IN_TRANS = 1  # of MySQL's protocol


class PeeweeDatabases:
    """Follows all Databases from now on, until `close`.

    Tests in flight together share a thread, and would share its connection: the door refuses all
    but the one that opened it.
    """

    def __init__(self, _: Ownership) -> None:
        self._connected: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._kept_open: set[int] = set()
        self._class: Any = sys.modules["peewee"].Database
        self._connect = original = self._class.connect
        connected = self._connected

        @wraps(original)
        def connect(database: Any, *args: Any, **options: Any) -> Any:
            opened = original(database, *args, **options)
            connected[id(database)] = database
            return opened

        self._class.connect = connect

    def close(self) -> None:
        """Follow no more."""
        self._class.connect = self._connect

    def _on_slots(self) -> list[tuple[Any, str]]:
        """The Databases that lead to a slot, each with the slot's name."""
        return [
            (database, slot)
            for reference in self._connected.valuerefs()
            if (database := reference()) is not None and (slot := _slot_of(database))
        ]

    def discard(self) -> None:
        """Replace this thread's connections that are dead, and all that this thread cannot see."""
        for database, _ in self._on_slots():
            _renew(database)

    async def leave_slots(self) -> None:
        """Connections to slots of tests in flight are none that others use."""

    def begin_test(self) -> None:
        """Transactions that are open by now are wider fixtures'."""
        self._kept_open = {id(each) for each, _ in self._on_slots() if _is_in_transaction(each)}

    def roll_back(self, database: str) -> list[str]:
        """End the transactions that a test left on this thread's connections to ``database``.

        Returns:
            What was rolled back, in words.
        """
        left = [
            each
            for each, slot in self._on_slots()
            if slot == database and id(each) not in self._kept_open and _is_in_transaction(each)
        ]
        for each in left:
            _roll_back(each)
        return ["of a Peewee database that was not closed; rolled back"] * len(left)


def _slot_of(database: Any) -> str | None:
    """The slot that a Database leads to by its name, its path or its URL."""
    words = re.findall(r"\w+", str(database.database))
    return next((word for word in words if naming.parse_slot_name(word) is not None), None)


def _renew(database: Any) -> None:
    held = database._state
    is_alive = not held.closed and _answers(held.conn)
    fresh = database._state = type(held)()
    if is_alive:
        fresh.__dict__.update(held.__dict__)
    if hasattr(database, "close_idle"):  # a pool
        database.close_idle()
        own = held.conn if is_alive else None
        database._in_use = {
            key: used for key, used in database._in_use.items() if used.connection is own
        }
    if held.closed or is_alive:
        return
    # Whatever the driver says here, the application's own next use of the Database says it better.
    with suppress(Exception):
        held.conn.close()
    with suppress(Exception):
        database.connect()
        fresh.ctx = held.ctx  # a wider fixture's `with database.connection_context()`


def _answers(connection: Any) -> bool:
    try:
        connection.cursor().execute("SELECT 1")
    except Exception:  # noqa: BLE001 - each driver has its own; a connection with any is replaced
        return False
    return True


def _is_in_transaction(database: Any) -> bool:
    """By Peewee's own account, or by the driver's where it can tell without asking the server."""
    return not database.is_closed() and (
        database.in_transaction() or _driver_is_in_transaction(database.connection())
    )


def _driver_is_in_transaction(connection: Any) -> bool:
    status = getattr(getattr(connection, "info", None), "transaction_status", None)
    return (
        status in _IN_TRANSACTION  # psycopg, psycopg2
        or getattr(connection, "in_transaction", None) is True  # sqlite3
        or bool(getattr(connection, "server_status", 0) & _SERVER_STATUS_IN_TRANS)  # PyMySQL
    )


def _roll_back(database: Any) -> None:
    if _driver_is_in_transaction(database.connection()):
        database.connection().cursor().execute("ROLLBACK")
    while database.in_transaction():
        database.pop_transaction()
    getattr(database._state, "commit_callbacks", []).clear()  # since Peewee 4
