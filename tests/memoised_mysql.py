"""Programs that make and drop their own tables on MariaDB.

The invariant: what the database holds is read as any other code of the process would read it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from memoised import Trial
from pytest_slipstream.databases.engines.mysql import content

NUMBERS = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999) "
    "SELECT n FROM numbers"
)
"""Fills a table with more rows than a page has."""


class MysqlTrial(Trial):
    """A database of MariaDB."""

    def content(self) -> dict[str, str]:
        return content.digest(self.address)

    def is_left(self) -> bool:
        return False


def table_names(url: str, found: Any) -> None:
    """What a process of `multiprocessing` finds, which can import this module."""
    found.put(inspect(create_engine(url, poolclass=NullPool)).get_table_names())
