"""Peewee's Databases where another lane is entered.

A Database is of one product, and keeps the connection of a thread. Where it leads to a slot, the
connection is closed, so that the next use connects again, and is refused where it may not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

from pytest_slipstream.databases.database import Database
from pytest_slipstream.databases.lanes.live_objects import live


def close(databases: Iterable[Database]) -> None:
    """Close this thread's connections to the slots of ``databases``."""
    peewee = sys.modules.get("peewee")
    if peewee is None:
        return
    slots = {database.slot_name for database in databases}
    for found in live(peewee.Database):
        if _is_open(found, slots):
            while found.in_transaction():
                found.pop_transaction()
            found.close()


def _is_open(database: Any, slots: set[str]) -> bool:
    name = database.database
    return isinstance(name, str) and not (
        slots.isdisjoint(re.findall(r"\w+", name)) or database.is_closed()
    )
