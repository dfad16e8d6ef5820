"""While a template is built, SQLAlchemy connections meant for its slot reach the build database.

An application's settings and its module-level engine were made from the environment that points at
the slot, which does not exist yet: a callable that uses that engine, or an Alembic ``env.py`` that
takes the URL from the application's settings, means the database that is being built. All
connections to it are ended afterwards, because pools would hand them to tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address


class Connections:
    """The pool entries of all SQLAlchemy connections to the build database."""

    def __init__(self) -> None:
        self._records: list[tuple[bool, Any]] = []

    def add(self, dialect: Any, record: Any) -> None:
        """Take a pool entry; SQLAlchemy 1.3 has no async dialects."""
        self._records.append((getattr(dialect, "is_async", False), record))

    def end(self) -> None:
        """End the connections of sync engines."""
        for is_async, record in self._records:
            if not is_async:
                record.invalidate()

    async def end_async(self) -> None:
        """End those of async engines, which must happen on their loop."""
        for is_async, record in self._records:
            if is_async:
                from sqlalchemy.util import greenlet_spawn

                await greenlet_spawn(record.invalidate)


@contextmanager
def redirected(database: str, address: Address) -> Iterator[Connections]:
    """Send SQLAlchemy connections for any slot of ``database`` to ``address``.

    Does nothing while SQLAlchemy is not loaded: then there is no engine of the user's.

    Args:
        database: The configured database's key.
        address: The database that is being built.
    """
    connections = Connections()
    if "sqlalchemy" not in sys.modules:
        yield connections
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def do_connect(dialect: Any, record: Any, arguments: list[Any], options: Any) -> None:
        if _redirect(database, address, arguments, options):
            connections.add(dialect, record)

    event.listen(Engine, "do_connect", do_connect)
    try:
        yield connections
    finally:
        event.remove(Engine, "do_connect", do_connect)
        connections.end()


def _redirect(
    database: str, address: Address, arguments: list[Any], options: dict[str, Any]
) -> bool:
    """Change a connection's arguments; whether it now reaches the build database."""
    target = address.path or address.database
    places: list[tuple[Any, Any]] = [(arguments, index) for index in range(len(arguments))]
    places += [(options, key) for key in ("dbname", "database", "db") if key in options]
    for holder, key in places:
        if is_slot_of(database, holder[key]):
            holder[key] = target
    return any(holder[key] == target for holder, key in places)


def is_slot_of(database: str, target: object) -> bool:
    """Whether ``target``, a database name, a path or a ``file:`` URI, is a slot of ``database``."""
    if not isinstance(target, str):
        return False
    slots = (naming.parse_slot_name(word) for word in re.findall(r"\w+", target))
    return any(re.fullmatch(rf"{database}_\d+", slot.rest) for slot in slots if slot is not None)
