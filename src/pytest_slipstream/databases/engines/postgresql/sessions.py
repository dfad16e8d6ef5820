"""Sessions of slipstream's own on a server: for databases as a whole, and for cleaning slots.

They go through libpq itself, by psycopg's module ``pq`` or, where the server's programs come with
a libpq, without psycopg. The invariant: a session behaves the same whatever the server, the role
or the database sets as defaults, and it is left ready for the next statement or broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from select import POLLIN, poll
from typing import Protocol

import msgspec

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.servers.postgresql_driver import psycopg_module

APPLICATION_NAME = "slipstream"
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"
INSUFFICIENT_PRIVILEGE = "42501"

_NEUTRAL = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "search_path": "",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "synchronous_commit": "off",
}
# Rows go to text, and back, by the same settings everywhere.
READING = _NEUTRAL | {
    "bytea_output": "hex",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "1",
    "intervalstyle": "postgres",
    "jit": "off",
    "timezone": "UTC",
    "xmloption": "content",
}
# Fires no trigger and records no change.
_CLEANING = READING | {
    "lc_monetary": "C",
    "lock_timeout": "200ms",
    "plan_cache_mode": "force_generic_plan",
    "session_replication_role": "replica",
    "slipstream.cleaning": "on",
}
_TYPES: dict[int, Callable[[bytes], object]] = {
    16: lambda value: value == b"t",  # boolean
    114: msgspec.json.decode,
    3802: msgspec.json.decode,  # jsonb
    **dict.fromkeys((20, 21, 23, 26), int),  # bigint, smallint, integer, oid
}
_COMMAND_OK, _TUPLES_OK = 1, 2
_GOOD = 0
_PARTS = (("M", ""), ("D", "DETAIL:  "), ("H", "HINT:  "), ("W", "CONTEXT:  "))


class SessionError(Exception):
    """A statement failed, or the connection did; ``sqlstate`` is empty then."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message.strip())
        self.sqlstate = sqlstate


class Result(Protocol):
    """What sessions use of psycopg's ``pq.PGresult``."""

    @property
    def status(self) -> int: ...
    @property
    def ntuples(self) -> int: ...
    @property
    def nfields(self) -> int: ...
    @property
    def error_message(self) -> bytes: ...
    def ftype(self, column: int, /) -> int: ...
    def get_value(self, row: int, column: int, /) -> bytes | None: ...
    def error_field(self, field: int, /) -> bytes | None: ...
    def clear(self) -> None: ...


class Cancel(Protocol):
    """What sessions use of psycopg's ``pq.PGcancel``."""

    def cancel(self) -> None: ...


class Connection(Protocol):
    """What sessions use of psycopg's ``pq.PGconn``."""

    @property
    def status(self) -> int: ...
    @property
    def socket(self) -> int: ...
    @property
    def server_version(self) -> int: ...
    @property
    def error_message(self) -> bytes: ...
    def send_query(self, command: bytes, /) -> None: ...
    def send_query_params(self, command: bytes, values: Sequence[bytes | None], /) -> None: ...
    def exec_prepared(self, name: bytes, values: Sequence[bytes], /) -> Result: ...
    def consume_input(self) -> None: ...
    def is_busy(self) -> int: ...
    def get_result(self) -> Result | None: ...
    def get_cancel(self) -> Cancel: ...
    def finish(self) -> None: ...


class Session:
    """A connection to one database, every statement of which is its own transaction.

    Args:
        connection: Just made.

    Raises:
        SessionError: There is none.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        if self.lost:
            message = connection.error_message.decode("utf-8", "replace")
            connection.finish()
            raise SessionError(message)
        self._readable = poll()
        self._readable.register(connection.socket, POLLIN)
        self.server_version = connection.server_version
        """180006 for 18.6."""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._connection.status != _GOOD

    def close(self) -> None:
        """End it; safe to call more than once."""
        self._connection.finish()

    def execute(self, query: str | bytes, *values: object) -> list[tuple[object, ...]]:
        """Run a statement, or several where there are no values.

        Args:
            query: With ``$1`` for the first value.
            values: Sent as text; None is NULL.

        Returns:
            The rows of the last statement. Numbers, booleans and JSON are Python's, else text.

        Raises:
            SessionError: It failed.
        """
        command = query if isinstance(query, bytes) else _bytes(query)
        texts = [None if value is None else _bytes(str(value)) for value in values]
        try:
            result = self._last_result(command, texts)
        except Exception as error:  # psycopg's, or ours: both say what libpq said
            raise SessionError(str(error)) from error
        try:
            return _rows(result)
        finally:
            result.clear()

    def execute_prepared(self, name: bytes, values: Sequence[bytes]) -> bytes:
        """Execute what was prepared, and wait for it whatever signal comes.

        Returns:
            The text of its only value.

        Raises:
            SessionError: It failed.
        """
        try:
            result = self._connection.exec_prepared(name, values)
        except Exception as error:  # psycopg's, or ours: both say what libpq said
            raise SessionError(str(error)) from error
        try:
            if result.status != _TUPLES_OK:
                raise _error(result)
            return result.get_value(0, 0) or b""
        finally:
            result.clear()

    def _last_result(self, command: bytes, texts: Sequence[bytes | None]) -> Result:
        last = None
        try:
            if texts:
                self._connection.send_query_params(command, texts)
            else:
                self._connection.send_query(command)
            while (result := self._next_result()) is not None:
                if last is not None:
                    last.clear()
                last = result
        except BaseException:  # Ctrl-C, what another signal's handler raises, or libpq's own
            if not self.lost:
                if self._connection.is_busy():
                    self._connection.get_cancel().cancel()
                while (result := self._connection.get_result()) is not None:
                    result.clear()
            raise
        if last is None:
            raise SessionError(self._connection.error_message.decode("utf-8", "replace"))
        return last

    def _next_result(self) -> Result | None:
        """Wait where Ctrl-C is noticed, which it is not within libpq."""
        while self._connection.is_busy():
            self._readable.poll()
            self._connection.consume_input()
        return self._connection.get_result()


class Sessions:
    """Opens sessions.

    Args:
        libpq: The file of the server's own libpq, if it is known.
    """

    def __init__(self, libpq: Path | None) -> None:
        self._connect = _by_libpq(libpq)

    def administer(self, address: Address) -> Session:
        """A session for creating and dropping databases."""
        return self._open(address, _NEUTRAL)

    def clean_in(self, address: Address) -> Session:
        """A session that cleans a slot."""
        return self._open(address, _CLEANING)

    def _open(self, address: Address, parameters: dict[str, str]) -> Session:
        wanted = {
            "host": address.host,
            "hostaddr": "",  # not the environment's, which would go before the host
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "dbname": address.database,
            "connect_timeout": 10,
            "client_encoding": "UTF8",
            "options": options(parameters),
        }
        left_out = {name for name in ("port", "password") if not wanted[name]}
        parts = [
            f"{name}={_quoted(value)}" for name, value in wanted.items() if name not in left_out
        ]
        return Session(self._connect(_bytes(" ".join(parts))))


def options(parameters: dict[str, str]) -> str:
    """Parameters for the start-up message, which saves a round trip."""
    wanted = {"application_name": APPLICATION_NAME} | parameters
    return " ".join(f"-c {name}=" + value.replace(" ", "\\ ") for name, value in wanted.items())


def identifier(name: str) -> str:
    """A name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as it stands in a statement that takes no values."""
    return "'" + text.replace("'", "''") + "'"


def _by_libpq(path: Path | None) -> Callable[[bytes], Connection]:
    if path is not None:
        from pytest_slipstream.databases.engines.postgresql.libpq import Libpq

        try:
            return Libpq(path).connect
        except (MemoryError, OSError):  # made for another system, or one that allows no callbacks
            pass
    connect: Callable[[bytes], Connection] = psycopg_module().pq.PGconn.connect
    return connect


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _quoted(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _rows(result: Result) -> list[tuple[object, ...]]:
    if result.status == _COMMAND_OK:
        return []
    if result.status != _TUPLES_OK:
        raise _error(result)
    columns = [
        (column, _TYPES.get(result.ftype(column), _text)) for column in range(result.nfields)
    ]
    return [
        tuple(
            None if (value := result.get_value(row, column)) is None else read(value)
            for column, read in columns
        )
        for row in range(result.ntuples)
    ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _error(result: Result) -> SessionError:
    parts = ((title, result.error_field(ord(letter))) for letter, title in _PARTS)
    said = [title + part.decode("utf-8", "replace") for title, part in parts if part]
    message = "\n".join(said) or result.error_message.decode("utf-8", "replace")
    return SessionError(message, (result.error_field(ord("C")) or b"").decode())
