"""How each driver names a target and opens a connection: one small file for each.

A file has ``ENGINE``, the product it connects to, and ``patches(module, door)``: the connect calls
to replace once ``module`` was imported. Where the driver's inside is not as the file expects,
``patches`` raises AttributeError, KeyError, TypeError or ImportError, and the driver is left alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

DRIVERS = {
    "sqlite3": ("sqlite",),
    "aiosqlite": ("aiosqlite_thread",),
    "psycopg2": ("psycopg2_door",),
    "psycopg": ("psycopg_door",),
    "asyncpg": ("asyncpg_connection",),
    "pymysql": ("pymysql_door",),
    "MySQLdb": ("mysqlclient_door",),
    "asyncmy": ("asyncmy_connection",),
    "aiomysql": ("aiomysql_connection",),
}
"""Each driver's module, with the files that know it."""


class Patch(msgspec.Struct, frozen=True):
    """A connect call that is replaced: ``holder.name``, a module's or a class's own attribute."""

    holder: Any
    name: str
    replacement: Any
