"""PyMySQL, which slipstream itself uses for MySQL and MariaDB, whatever the application uses."""

from __future__ import annotations

from types import ModuleType

from pytest_slipstream.errors import MissingExtraError

INSTALL = 'pip install "pytest-slipstream[mysql]"'


def pymysql_module() -> ModuleType:
    """The imported module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pymysql
    except ImportError as error:
        raise MissingExtraError(
            f"MySQL and MariaDB need PyMySQL, which cannot be imported: {error}", hint=INSTALL
        ) from error
    return pymysql
