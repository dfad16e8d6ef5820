"""Which databases a test uses and which isolation strategy each of them gets.

Pure: decides from the settings and the test's ``@pytest.mark.db`` marks, nearest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
import pytest

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.settings import DatabaseSettings, IsolationName

STRATEGIES: tuple[str, ...] = get_args(IsolationName)
FIXTURES = frozenset(
    ("db", "db_url", "db_engine", "db_session", "async_db_engine", "async_db_session")
)


class DbMark(msgspec.Struct, frozen=True):
    """One ``@pytest.mark.db(isolation=…, database=…)``; None and () where nothing was said."""

    isolation: str | None = None
    databases: tuple[str, ...] = ()


def read_mark(mark: pytest.Mark, node_id: str, databases: Mapping[str, Any]) -> DbMark:
    """Check the arguments of a ``db`` mark.

    Raises:
        ConfigurationError: an argument, strategy or database that does not exist.
    """
    where = f"@pytest.mark.db of {node_id}"
    unknown = [repr(arg) for arg in mark.args]
    unknown += [name for name in mark.kwargs if name not in ("isolation", "database")]
    if unknown:
        raise ConfigurationError(
            f"{where} has the argument {unknown[0]}, which it does not take",
            hint="valid are the keywords isolation= and database=",
        )
    isolation = mark.kwargs.get("isolation")
    if isolation is not None and isolation not in STRATEGIES:
        raise ConfigurationError(
            f"{where} asks for isolation={isolation!r}, which is no isolation strategy",
            hint=f"valid are {', '.join(STRATEGIES)}",
        )
    named = mark.kwargs.get("database", ())
    names = (named,) if isinstance(named, str) else tuple(named)
    for name in names:
        if name not in databases:
            raise ConfigurationError(
                f"{where} names the database {name!r}, which is not configured",
                hint=f"configured are {', '.join(databases)}",
            )
    return DbMark(isolation, names)


def choose(
    databases: Mapping[str, DatabaseSettings], marks: Iterable[DbMark], uses_fixture: bool
) -> dict[str, str]:
    """The test's databases, each with its strategy.

    Args:
        databases: The configured databases.
        marks: The test's ``db`` marks, nearest first.
        uses_fixture: Whether a slipstream fixture is in the test's closure.

    Returns:
        Names of databases to strategies; empty for a test that owns no slot.
    """
    marks = tuple(marks)
    named = {name for mark in marks for name in mark.databases}
    wanted = uses_fixture or bool(marks)
    chosen: dict[str, str] = {}
    for name, settings in databases.items():
        if name in named or (not named and (wanted or settings.tests == "all")):
            own = (m.isolation for m in marks if m.isolation and name in (m.databases or (name,)))
            chosen[name] = next(own, settings.isolation)
    return chosen
