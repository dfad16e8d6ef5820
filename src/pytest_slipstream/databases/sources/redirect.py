"""While a template is built, SQLAlchemy connections meant for its slot reach the build database.

An application's settings and its module-level engine were made from the environment that points at
the slot, which does not exist yet: a callable that uses that engine, or an Alembic ``env.py`` that
takes the URL from the application's settings, means the database that is being built. Connections
opened so are ended afterwards, because pools would hand them to tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address


@contextmanager
def redirected(database: str, address: Address) -> Iterator[None]:
    """Send SQLAlchemy connections for any slot of ``database`` to ``address``.

    Does nothing while SQLAlchemy is not loaded: then there is no engine of the user's.

    Args:
        database: The configured database's key.
        address: The database that is being built.
    """
    if "sqlalchemy" not in sys.modules:
        yield
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    opened: list[Any] = []

    def do_connect(dialect: Any, record: Any, arguments: list[Any], options: Any) -> None:
        if _redirect(database, address, arguments, options):
            opened.append(record)

    event.listen(Engine, "do_connect", do_connect)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", do_connect)
        for record in opened:
            record.invalidate()


def _redirect(
    database: str, address: Address, arguments: list[Any], options: dict[str, Any]
) -> bool:
    places: list[tuple[Any, Any]] = [(arguments, index) for index in range(len(arguments))]
    places += [(options, key) for key in ("dbname", "database") if key in options]
    found = [(holder, key) for holder, key in places if is_slot_of(database, holder[key])]
    for holder, key in found:
        holder[key] = address.path or address.database
    return bool(found)


def is_slot_of(database: str, target: object) -> bool:
    """Whether ``target``, a database name, a path or a ``file:`` URI, is a slot of ``database``."""
    if not isinstance(target, str):
        return False
    slots = (naming.parse_slot_name(word) for word in re.findall(r"\w+", target))
    return any(re.fullmatch(rf"{database}_\d+", slot.rest) for slot in slots if slot is not None)
