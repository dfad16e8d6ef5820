"""Operations on a schema and the sessions that they run in, whatever the library and the server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import msgspec


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
