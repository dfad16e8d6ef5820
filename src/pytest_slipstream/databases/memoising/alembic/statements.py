"""The statements that migrations sent, and what can be told from them.

The invariant: what is not recognised counts as reading rows, and as needed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import msgspec
from sqlalchemy import event
from sqlalchemy.engine import Connection

from pytest_slipstream.clock import clock
from pytest_slipstream.databases.memoising.mysql.on_mysql import PRODUCT

_ENDS_TRANSACTIONS = ("rollback", "savepoint", "rollback_savepoint", "release_savepoint")
_FREE = ("begin_twophase", "set_connection_execution_options")
_IN_IMAGE = re.compile(r"(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|REPLACE|WITH)\s", re.IGNORECASE)
_CONTROL = re.compile(
    r"(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE|VACUUM|ATTACH|DETACH|COPY)\b",
    re.IGNORECASE,
)
_PRAGMA = re.compile(r"PRAGMA\s+[^=]*\Z", re.IGNORECASE)
_SELECT = re.compile(r"SELECT\s", re.IGNORECASE)
_DROP = re.compile(r"DROP\s|ALTER\s+TABLE\s+\S+\s+DROP\s[^,]*\Z", re.IGNORECASE)
_SHOW = re.compile(r"(DESCRIBE|DESC|SHOW|EXPLAIN)\s", re.IGNORECASE)
_SHOW_DEFINITION = re.compile(
    r"(DESCRIBE|DESC)\s|SHOW\s+((FULL\s+)?(TABLES|COLUMNS|FIELDS)|CREATE|VARIABLES)\s",
    re.IGNORECASE,
)
_TELLS_OF_ROWS = re.compile(
    r"\*\s+FROM|\.\*|auto_increment|_rows\b|(data|index|row)_length|(create|update|check)_time"
    r"|checksum|cardinality|information_schema\.(innodb_|\w*(processlist|statistics|status"
    r"|partitions|variables|files|stats)\b)",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+([^\s,()]*)(\s*(?:AS\s+)?\w*\s*,)?", re.IGNORECASE)
_CATALOGUE = re.compile(
    r"(main\.|temp\.)?\"?sqlite_(temp_)?(master|schema)\"?\Z|pg_catalog\.|information_schema\.",
    re.IGNORECASE,
)
_DAY = datetime.timedelta(days=1)


class Statement(msgspec.Struct, frozen=True):
    """As the driver had it."""

    text: str
    parameters: Any
    options: dict[str, Any]

    def is_read(self, product: str, version_table: str) -> bool:
        """Whether it changes nothing; on PostgreSQL any function may."""
        if product == "SQLite":
            return _is(_SELECT, self.text) or _is(_PRAGMA, self.text)
        if product == PRODUCT and _is(_SHOW, self.text):
            return True
        return _is(_SELECT, self.text) and _asks_for_catalogue(self.text, version_table)

    def ignores_rows(self, version_table: str) -> bool:
        """Whether it does the same whatever the tables hold, that of versions left aside."""
        if _is(_SELECT, self.text):
            return _asks_for_catalogue(self.text, version_table)
        if self.is_of_versions(version_table):
            return True
        return any(_is(kind, self.text) for kind in (_PRAGMA, _DROP, _SHOW_DEFINITION))

    def is_of_versions(self, version_table: str) -> bool:
        """Whether it changes the table of versions alone."""
        own = re.compile(
            rf"(INSERT\s+INTO|UPDATE|DELETE\s+FROM|(CREATE|DROP)\s+TABLE)"
            rf"\s+[\"`]?{re.escape(version_table)}[\"`]?\s",
            re.IGNORECASE,
        )
        return _is(own, self.text)

    def is_of_image(self) -> bool:
        """Whether all that it changes is in the database."""
        return any(_is(kind, self.text) for kind in (_IN_IMAGE, _SELECT, _PRAGMA))


class Recorder:
    """Notes what is sent over a connection inside of its ``with`` block."""

    def __init__(self, connection: Connection, *, may_commit: bool) -> None:
        self.statements: list[Statement] = []
        self.problem: str | None = None
        self.failed: list[Statement] = []
        self._pending: Statement | None = None
        self._connection = connection
        refused = (*_ENDS_TRANSACTIONS, *_FREE, *(() if may_commit else ("commit",)))
        self._listeners: list[tuple[str, Any]] = [
            ("before_cursor_execute", self._note),
            ("after_cursor_execute", self._succeeded),
            *((name, self._refuse) for name in refused),
        ]

    def __enter__(self) -> Recorder:
        for name, listener in self._listeners:
            event.listen(self._connection, name, listener)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, listener in self._listeners:
            event.remove(self._connection, name, listener)
        self._failed()

    def _note(
        self,
        connection: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        plain = bool(getattr(context, "execution_options", {}).get("no_parameters"))
        options = {"no_parameters": True} if plain else {}
        self._failed()
        self._pending = Statement(statement, parameters or None, options)
        self.statements.append(self._pending)
        if _is(_CONTROL, statement):
            self.problem = "a migration that handles transactions by itself"

    def _succeeded(self, *values: Any) -> None:
        self._pending = None

    def _failed(self) -> None:
        """What came to an error that the migration has caught."""
        if self._pending is not None:
            self.failed.append(self._pending)
        self._pending = None

    def _refuse(self, *values: Any) -> None:
        self.problem = "a migration that handles transactions by itself"


def has_time(values: Iterable[object]) -> bool:
    """Whether a value looks like the time at which it was made, by the machine or as it is set."""
    own = datetime.datetime.fromtimestamp(clock.unix())
    days = {moment + off * _DAY for moment in (own, datetime.datetime.now()) for off in (-1, 0, 1)}
    marks = {day.strftime(form) for day in days for form in ("%Y-%m-%d", "%Y%m%d")}
    marks |= {rf"\b{str(int(day.timestamp()))[:5]}\d{{5}}" for day in days}
    return re.search("|".join(marks), "\n".join(map(str, _flat(values)))) is not None


def _flat(values: Iterable[object]) -> Iterable[object]:
    for value in values:
        if isinstance(value, dict):
            yield from _flat(value.values())
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            yield from _flat(value)
        else:
            yield value


def _asks_for_catalogue(text: str, version_table: str) -> bool:
    if "information_schema" in text.lower() and _TELLS_OF_ROWS.search(text):
        return False
    sources = list(_SOURCE.finditer(text))
    return bool(sources) and all(
        not source[2] and (_CATALOGUE.match(source[1]) or source[1].strip('"`') == version_table)
        for source in sources
    )


def _is(kind: re.Pattern[str], text: str) -> bool:
    return kind.match(text.lstrip()) is not None
