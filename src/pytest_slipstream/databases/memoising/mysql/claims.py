"""Sessions of MariaDB's that have claims on tables: temporary ones, or locks.

To ask a session takes as long as two round trips. So it is asked once, and again when anybody on
the server has made a claim since. The invariant: nothing is done for a session that has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.mysql.catalogue import Counted


class Caller(msgspec.Struct, frozen=True):
    """A session of the application's.

    ``server`` tells servers apart, ``route`` how this process reaches it; ``surroundings`` are the
    settings that new objects depend on; ``was_asked``: it has just said that it has no claims.
    """

    address: Address
    route: object
    id: int
    server: str
    surroundings: str
    is_in_transaction: bool
    was_asked: bool

    @property
    def database(self) -> str:
        """Its name."""
        return self.address.database


class ClaimsError(UnknownResultError):
    """Somebody has made a claim since the session was asked."""


class Claims:
    """Of the sessions in one database."""

    def __init__(self) -> None:
        self.own = 0
        """How many slipstream has made."""
        self._others: dict[int, int] = {}
        """How many the others had made, when a session said that it had none."""
        self._asked: Caller | None = None
        self._caller: Caller | None = None

    @contextmanager
    def of(self, caller: Caller | None) -> Iterator[None]:
        """What is done meanwhile is done for this session, or whoever asks."""
        before, self._caller = self._caller, caller
        try:
            yield
        finally:
            self._caller = before

    def has_met(self, session: int) -> bool:
        """Whether a session has said that it has none."""
        return session in self._others

    def forget(self) -> None:
        """The server may be another."""
        self._others.clear()

    def refuse(self, seen: Counted) -> None:
        """Go on only for a session that has none.

        Raises:
            ClaimsError: It is to be asked first.
        """
        if self._caller is None:
            return
        others = seen.claims - self.own
        if not self._caller.was_asked:
            if self._others.get(self._caller.id) != others:
                raise ClaimsError
        elif self._caller is not self._asked:
            self._asked, self._others[self._caller.id] = self._caller, others
