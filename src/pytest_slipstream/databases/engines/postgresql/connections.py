"""Connections by psycopg: for scripts, for reading whole databases, and for tests themselves."""

from __future__ import annotations

import psycopg

from pytest_slipstream.databases.engines.postgresql import sessions
from pytest_slipstream.databases.engines.protocol import Address

Connection = psycopg.Connection[tuple[object, ...]]


class _Own(psycopg.Connection[tuple[object, ...]]):
    """By its class the routing door tells slipstream's own connections from the application's."""


def connect(
    address: Address,
    *,
    autocommit: bool = False,
    options: str | None = None,
    connection_class: type[Connection] = psycopg.Connection,
) -> Connection:
    """A plain connection, with nothing set but ``options``."""
    return connection_class.connect(
        host=address.host,
        hostaddr="",  # not the environment's, which would go before the host
        port=address.port or None,
        user=address.user,
        password=address.password or None,
        dbname=address.database,
        autocommit=autocommit,
        connect_timeout=10,
        options=options,
    )


def read(address: Address) -> Connection:
    """A connection that reads rows as text, with no right but to read."""
    options = sessions.options(sessions.READING)
    return connect(address, autocommit=True, options=options, connection_class=_Own)
