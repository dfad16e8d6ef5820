"""Connections to PostgreSQL.

The invariant: a session of slipstream's own behaves the same whatever the server, the role or the
database sets as defaults.
"""

from __future__ import annotations

import psycopg

from pytest_slipstream.databases.engines.protocol import Address

APPLICATION_NAME = "slipstream"
Connection = psycopg.Connection[tuple[object, ...]]

_NEUTRAL = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "search_path": "",
    "statement_timeout": "0",
    "synchronous_commit": "off",
}
# Rows go to text, and back, by the same settings everywhere.
_READING = _NEUTRAL | {
    "bytea_output": "hex",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "1",
    "intervalstyle": "postgres",
    "jit": "off",
    "timezone": "UTC",
    "xmloption": "content",
}
_CLEANING = _READING | {
    "lc_monetary": "C",
    "lock_timeout": "200ms",
    "plan_cache_mode": "force_generic_plan",
    "session_replication_role": "replica",
    "slipstream.cleaning": "on",
}


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


def administer(address: Address) -> Connection:
    """A connection for creating and dropping databases."""
    return _own(address, _NEUTRAL)


def read(address: Address) -> Connection:
    """A connection that reads rows as text, with no right but to read."""
    return _own(address, _READING)


def clean_in(address: Address) -> Connection:
    """A connection that cleans a slot: it fires no trigger and records no change."""
    return _own(address, _CLEANING)


def _own(address: Address, parameters: dict[str, str]) -> Connection:
    """Set in the start-up message, which saves a round trip."""
    wanted = {"application_name": APPLICATION_NAME} | parameters
    options = [f"-c {name}=" + value.replace(" ", "\\ ") for name, value in wanted.items()]
    return connect(address, autocommit=True, options=" ".join(options), connection_class=_Own)
