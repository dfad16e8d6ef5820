"""psycopg, by which slipstream reads and builds databases, whatever the application uses."""

from __future__ import annotations

from types import ModuleType

from pytest_slipstream import garbage
from pytest_slipstream.databases.servers.postgresql_binaries import INSTALL
from pytest_slipstream.errors import MissingExtraError


def psycopg_module() -> ModuleType:
    """The imported module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        with garbage.paused():
            import psycopg
    except ImportError as error:
        raise MissingExtraError(
            f"PostgreSQL needs psycopg, which cannot be imported: {error}", hint=INSTALL
        ) from error
    return psycopg
