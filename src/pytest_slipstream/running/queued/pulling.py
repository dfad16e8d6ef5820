"""The queue as a source of tests, and the leases that this machine holds.

The invariant: a lease is renewed from when it is taken until its atom is acknowledged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import pytest

from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.connection import QueueLostError
from pytest_slipstream.queue.values import Lease


class Pulling:
    """What this machine pulls; a `Source`, which is empty whenever it would have to wait.

    Args:
        build: The connection.
        items: The tests, by number.
        lost: Called with why nothing more can be pulled.
    """

    def __init__(
        self, build: Build, items: Sequence[pytest.Item], lost: Callable[[str], None]
    ) -> None:
        self._build = build
        self._items = items
        self._lost = lost
        self._waiting: deque[Lease] = deque()
        self.is_over = False
        self.is_stopped = False
        self.held: dict[Lease, None] = {}
        """Taken, and not acknowledged; in order."""
        self._in_flight: dict[str, deque[tuple[Lease, int]]] = {}

    def look(self) -> bool:
        """Whether there is an atom to be run here now; it stays at hand."""
        if not self._waiting and not self.is_over and not self.is_stopped:
            lease = self._next()
            if isinstance(lease, Lease):
                self.held[lease] = None
                self._waiting.append(lease)
            else:
                self.is_over = lease
        return bool(self._waiting)

    def take(self) -> Sequence[pytest.Item]:
        """The next atom; an empty one where there is none now."""
        if not self.look():
            return ()
        lease = self._waiting.popleft()
        for number in lease.tests:
            node_id = self._items[number].nodeid
            self._in_flight.setdefault(node_id, deque()).append((lease, number))
        return [self._items[number] for number in lease.tests]

    def running(self, node_id: str) -> tuple[Lease, int] | None:
        """The lease by which a test runs here, and its number."""
        found = self._in_flight.get(node_id)
        return found[0] if found else None

    def ran(self, node_id: str) -> None:
        """A test is over."""
        self._in_flight[node_id].popleft()

    def stop(self) -> None:
        """Nothing more is pulled."""
        self.is_stopped = True

    def _next(self) -> Lease | bool:
        try:
            return self._build.take()
        except QueueLostError as error:
            self.is_stopped = True
            self._lost(str(error))
            return False
