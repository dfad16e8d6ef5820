"""Operations on a schema and the sessions that they run in, whatever the library and the server."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

_T = TypeVar("_T")


class OnDriver(Protocol):
    """Runs work on the `sqlite3.Connection` beneath a library's, and gives what it returns."""

    def __call__(self, work: Callable[[sqlite3.Connection], _T], /) -> _T: ...


class Session(ABC):
    """The caller's session, in the caller's transaction."""

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The rows of a query, which is sent as it is."""
        found: Sequence[Sequence[Any]] = self._execute(query).fetchall()
        return found

    def run(self, statement: str) -> None:
        """Send a statement as it is."""
        self._execute(statement)

    @abstractmethod
    def _execute(self, statement: str) -> Any:
        """Send it; returns a cursor."""


class Check(Protocol):
    """A comparison with the slow way."""

    def is_due(self) -> bool: ...

    def content(self) -> Any: ...


class Operation(msgspec.Struct, frozen=True):
    """A call: does it make or drop, and everything that its result depends on besides."""

    makes: bool
    key: Hashable
