"""Work that asks over a session, where the session has to be awaited.

The invariant: the work runs in a greenlet of the caller's own thread, between two awaits of the
caller's task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import greenlet
import msgspec

from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.operations import Session

_T = TypeVar("_T")


class _Awaited(Session):
    """For work in a greenlet whose parent awaits."""

    def _execute(self, statement: str) -> Any:
        return greenlet.getcurrent().parent.switch(statement)


class _Answer(msgspec.Struct, frozen=True):
    rows: list[tuple[Any, ...]]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows


async def awaiting(
    send: Callable[[str], Awaitable[Iterable[Iterable[Any]]]], work: Callable[[Session], _T]
) -> _T:
    """Do work over a session.

    Args:
        send: Sends a statement, and returns its rows.
        work: Takes the session.
    """
    running = greenlet.greenlet(lambda: work(_Awaited()))
    result = running.switch()
    while not running.dead:
        try:
            rows = await send(result)
        except Exception:  # noqa: BLE001 - drivers have many; as written it will be said
            result = running.throw(UnknownResultError("a connection that fails"))
        else:
            result = running.switch(_Answer([tuple(row) for row in rows]))
    found: _T = result
    return found
