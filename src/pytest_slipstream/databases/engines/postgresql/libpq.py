"""libpq, called directly: the part of psycopg's module ``pq`` that `sessions` uses, by its names.

Importing psycopg takes as long as all else of slipstream's until the first test, and an embedded
server's programs come with a libpq. The invariant: what libpq gave out is freed once, and nothing
is called with what was freed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_int, c_void_p
from pathlib import Path
from typing import Any

_NoticeReceiver = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
_ERROR_BYTES = 256
# PostgreSQL manual, "libpq - C Library". A connection, a result and a cancel object are pointers.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "PQconnectdb": (c_void_p, c_char_p),
    "PQstatus": (c_int, c_void_p),
    "PQerrorMessage": (c_char_p, c_void_p),
    "PQserverVersion": (c_int, c_void_p),
    "PQsocket": (c_int, c_void_p),
    "PQfinish": (None, c_void_p),
    "PQsetNoticeReceiver": (c_void_p, c_void_p, _NoticeReceiver, c_void_p),
    "PQsendQuery": (c_int, c_void_p, c_char_p),
    "PQsendQueryParams": (
        *(c_int, c_void_p, c_char_p, c_int),
        *(c_void_p, c_void_p, c_void_p, c_void_p, c_int),
    ),
    "PQconsumeInput": (c_int, c_void_p),
    "PQisBusy": (c_int, c_void_p),
    "PQgetResult": (c_void_p, c_void_p),
    "PQexecPrepared": (
        *(c_void_p, c_void_p, c_char_p, c_int),
        *(c_void_p, c_void_p, c_void_p, c_int),
    ),
    "PQgetCancel": (c_void_p, c_void_p),
    "PQcancel": (c_int, c_void_p, c_char_p, c_int),
    "PQfreeCancel": (None, c_void_p),
    "PQresultStatus": (c_int, c_void_p),
    "PQntuples": (c_int, c_void_p),
    "PQnfields": (c_int, c_void_p),
    "PQftype": (ctypes.c_uint, c_void_p, c_int),
    "PQgetisnull": (c_int, c_void_p, c_int, c_int),
    "PQgetvalue": (c_void_p, c_void_p, c_int, c_int),
    "PQgetlength": (c_int, c_void_p, c_int, c_int),
    "PQresultErrorField": (c_char_p, c_void_p, c_int),
    "PQresultErrorMessage": (c_char_p, c_void_p),
    "PQclear": (None, c_void_p),
}


class Libpq:
    """The loaded library.

    Args:
        path: Its file.

    Raises:
        OSError: It cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self.calls = ctypes.CDLL(str(path))
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = self.calls[name]
            function.restype, function.argtypes = result, arguments
            setattr(self.calls, name, function)
        # libpq's own prints what the server remarks to stderr.
        self.silence = _NoticeReceiver(lambda argument, result: None)

    def connect(self, conninfo: bytes) -> PGconn:
        """A connection; `PGconn.status` says whether there is one."""
        return PGconn(self, conninfo)


class PGconn:
    """A connection. Its methods say where they differ from libpq's functions of that name."""

    def __init__(self, libpq: Libpq, conninfo: bytes) -> None:
        self._libpq = libpq  # whose receiver of notices must live as long
        self._calls = libpq.calls
        self._pointer: int | None = self._calls.PQconnectdb(conninfo)
        self._calls.PQsetNoticeReceiver(self._pointer, libpq.silence, None)

    @property
    def status(self) -> int:
        """0 when it is good."""
        return int(self._calls.PQstatus(self._pointer))  # of NULL, too: bad

    @property
    def error_message(self) -> bytes:
        """Of the last function that failed."""
        return bytes(self._calls.PQerrorMessage(self._pointer))

    @property
    def server_version(self) -> int:
        """180006 for 18.6."""
        return int(self._calls.PQserverVersion(self._pointer))

    @property
    def socket(self) -> int:
        """The descriptor."""
        return int(self._calls.PQsocket(self._pointer))

    def finish(self) -> None:
        """Close it; safe to call more than once."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._calls.PQfinish(pointer)

    def send_query(self, command: bytes) -> None:
        """One or more statements, without values."""
        self._sent(self._calls.PQsendQuery(self._pointer, command))

    def send_query_params(self, command: bytes, values: Sequence[bytes | None]) -> None:
        """One statement, with values as text."""
        number, array = len(values), _array(values)
        self._sent(
            self._calls.PQsendQueryParams(
                self._pointer, command, number, None, array, None, None, 0
            )
        )

    def _sent(self, succeeded: int) -> None:
        if not succeeded:
            raise OSError(self.error_message.decode("utf-8", "replace"))

    def consume_input(self) -> None:
        """Read what has come; where that fails, the next result says so."""
        self._calls.PQconsumeInput(self._pointer)

    def is_busy(self) -> int:
        """Whether `get_result` would wait."""
        return int(self._calls.PQisBusy(self._pointer))

    def get_result(self) -> PGresult | None:
        """The next result of what was sent; None after the last."""
        pointer = self._calls.PQgetResult(self._pointer)
        return PGresult(self._calls, pointer) if pointer else None

    def exec_prepared(self, name: bytes, values: Sequence[bytes | None]) -> PGresult:
        """Execute what was prepared, with values as text, and wait for it."""
        number, array = len(values), _array(values)
        pointer = self._calls.PQexecPrepared(self._pointer, name, number, array, None, None, 0)
        if not pointer:
            raise OSError(self.error_message.decode("utf-8", "replace"))
        return PGresult(self._calls, pointer)

    def get_cancel(self) -> PGcancel:
        """What asks the server to end the running statement."""
        return PGcancel(self._calls, self._calls.PQgetCancel(self._pointer))


class PGcancel:
    """A request to end a statement, to be made once."""

    def __init__(self, calls: ctypes.CDLL, pointer: int | None) -> None:
        self._calls = calls
        self._pointer = pointer

    def cancel(self) -> None:
        """Make it; what comes of it shows in the statement's result."""
        said = ctypes.create_string_buffer(_ERROR_BYTES)
        self._calls.PQcancel(self._pointer, said, _ERROR_BYTES)
        self._calls.PQfreeCancel(self._pointer)


class PGresult:
    """A result, until `clear`."""

    def __init__(self, calls: ctypes.CDLL, pointer: int) -> None:
        self._calls = calls
        self._pointer = pointer

    @property
    def status(self) -> int:
        """An ``ExecStatusType``."""
        return int(self._calls.PQresultStatus(self._pointer))

    @property
    def ntuples(self) -> int:
        """How many rows."""
        return int(self._calls.PQntuples(self._pointer))

    @property
    def nfields(self) -> int:
        """How many columns."""
        return int(self._calls.PQnfields(self._pointer))

    def ftype(self, column: int) -> int:
        """The object id of a column's type."""
        return int(self._calls.PQftype(self._pointer, column))

    def get_value(self, row: int, column: int) -> bytes | None:
        """A value as text, or None for NULL."""
        if self._calls.PQgetisnull(self._pointer, row, column):
            return None
        length = self._calls.PQgetlength(self._pointer, row, column)
        return ctypes.string_at(self._calls.PQgetvalue(self._pointer, row, column), length)

    def error_field(self, field: int) -> bytes | None:
        """A part of an error, by the letter that stands for it."""
        said: bytes | None = self._calls.PQresultErrorField(self._pointer, field)
        return said

    @property
    def error_message(self) -> bytes:
        """The whole error."""
        return bytes(self._calls.PQresultErrorMessage(self._pointer))

    def clear(self) -> None:
        """Free it. Nothing else may be called after."""
        self._calls.PQclear(self._pointer)


def _array(values: Sequence[bytes | None]) -> ctypes.Array[c_char_p]:
    return (c_char_p * len(values))(*values)
