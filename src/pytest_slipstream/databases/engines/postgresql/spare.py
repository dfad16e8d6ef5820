"""A database prepared ahead, in the background, for the next time that a slot is made anew.

The invariant: at most one is there, and everything in the background has ended when `close`
returns.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pytest_slipstream.databases.engines.postgresql.administration import Administration
from pytest_slipstream.databases.engines.postgresql.sessions import SessionError


class Spare:
    """Makes and drops databases for one slot on a thread and a connection of its own.

    Args:
        slot: The slot's name, with which every name made here starts.
        administer: Opens the thread's connection.
    """

    def __init__(self, slot: str, administer: Callable[[], Administration]) -> None:
        self._slot = slot
        self._administer = administer
        self._administration: Administration | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slipstream-spare")
        self._made = 0
        self.is_used = False
        """Whether there is, or will be, a connection in the background."""
        self._source = ""
        self._coming: Future[str] | None = None

    def prepare(self, source: str) -> None:
        """Have a copy of ``source`` made; nothing happens when one is there or on its way."""
        if self._coming is not None and self._source == source:
            return
        self.discard()
        self._made += 1
        self.is_used = True
        name = f"{self._slot}_spare{self._made}"
        self._source = source
        self._coming = self._thread.submit(self._clone, source, name)

    def take(self, source: str) -> str | None:
        """The prepared copy of ``source``, waited for; None when there is none."""
        if self._coming is None or self._source != source:
            return None
        coming, self._coming = self._coming, None
        try:
            return coming.result()
        except SessionError:
            return None  # The slot is made in the foreground, where the error shows if it stays.

    def drop(self, name: str) -> None:
        """Drop a database in the background."""
        self.is_used = True
        self._thread.submit(self._drop, name)

    def discard(self) -> None:
        """Drop what was prepared."""
        name = self.take(self._source) if self._coming is not None else None
        if name is not None:
            self.drop(name)

    def close(self) -> None:
        """Drop what was prepared and wait until all is done."""
        self.discard()
        self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=True)

    def _there(self) -> Administration:
        if self._administration is None:
            self._administration = self._administer()
        return self._administration

    def _clone(self, source: str, name: str) -> str:
        self._there().clone(source, name)
        self._there().warm(name)
        return name

    def _drop(self, name: str) -> None:
        self._there().drop(name)

    def _disconnect(self) -> None:
        if self._administration is not None:
            self._administration.close()
