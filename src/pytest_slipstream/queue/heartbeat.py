"""Renews a machine's leases while its tests run, on a thread and a connection of its own.

The invariant: it says nothing that the process itself could not say: a process that is stopped does
not beat, and what went wrong here is found by the machine's next step.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator

from pytest_slipstream.errors import SlipstreamError
from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.values import Lease


class Heartbeat:
    """Beats until it is stopped.

    Args:
        connect: Opens a connection to the build.
        held: The leases that are renewed.
        every_s: How often.
    """

    def __init__(
        self, connect: Callable[[], Build], held: Callable[[], Iterable[Lease]], every_s: float
    ) -> None:
        self._connect = connect
        self._held = held
        self._every_s = every_s
        self._build: Build | None = None
        self._beating = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="slipstream-queue", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for a server that does not answer."""
        self._stopped.set()
        self._thread.join(timeout=1.0)

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Between two beats, and without a connection."""
        with self._beating:
            if self._build is not None:
                self._build.close()
            yield

    def _beat(self) -> None:
        while not self._stopped.wait(self._every_s):
            with self._beating:
                try:
                    self._build = self._build or self._connect()
                    self._build.beat(self._held())
                except SlipstreamError:
                    continue  # the server may come back; if not, the machine's next step says so
        if self._build is not None:
            self._build.close()
