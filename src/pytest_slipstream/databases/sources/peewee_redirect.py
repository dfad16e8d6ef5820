"""While a template is built, Peewee connections meant for its slot reach the build database.

The invariant: afterwards every Database names what it named before, and none of its connections
leads to the build database. The counterpart of `redirect`, for the same reasons.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.sources.redirect import is_slot_of


@contextmanager
def redirected(database: str, address: Address) -> Iterator[None]:
    """Send Peewee connections for any slot of ``database`` to ``address``.

    Does nothing while Peewee is not loaded: then there is no Database of the user's.

    Args:
        database: The configured database's key.
        address: The database that is being built.
    """
    peewee: Any = sys.modules.get("peewee")
    if peewee is None:
        yield
        return
    original = peewee.Database.connect
    sent: list[Any] = []

    @wraps(original)
    def connect(own: Any, *args: Any, **options: Any) -> Any:
        meant = own.database
        if is_slot_of(database, str(meant)):  # it may be a Path
            own.database = _target(str(meant), address)
            sent.append(own)
        try:
            return original(own, *args, **options)
        finally:
            own.database = meant

    peewee.Database.connect = connect
    try:
        yield
    finally:
        peewee.Database.connect = original
        for own in sent:
            _close(own)


def _target(meant: str, address: Address) -> str:
    """The build database, in the form in which the slot was named: a name, a path or a URL."""
    if address.path:
        return address.path
    return re.sub(r"\w+", lambda word: address.database if _is_slot(word[0]) else word[0], meant)


def _is_slot(word: str) -> bool:
    return naming.parse_slot_name(word) is not None


def _close(database: Any) -> None:
    """Close this thread's connection and all that the pool has, whatever state they are in."""
    while database.in_transaction():
        database.pop_transaction()
    getattr(database, "close_all", database.close)()
