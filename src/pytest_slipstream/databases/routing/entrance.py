"""The way in to a database's slot: what a driver must know of it to open a connection.

The invariant: every new physical connection of the application is told to all who asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing.joining import Joining
from pytest_slipstream.errors import SlipstreamError

OnConnect = Callable[[Any], None]
ConnectionClass = Callable[[Any], Any]
"""The class that makes a connection of the application, of the one that it asked for."""


class Watch(Protocol):
    """Who sees each use of a connection, because tests may be in flight; see `Ownership`."""

    def check(self, used: Entrance) -> None:
        """A connection is used that was opened at ``used``."""

    def note(self, connection: Any, entrance: Entrance) -> None:
        """The application opened a connection."""


class Listener(Protocol):
    """Who is told of the application's connections to slots."""

    def asked(self) -> None:
        """The application connects."""

    def given(self, connection: Any) -> None:
        """It has got this connection."""

    def connection_class(self, wanted: type) -> type:
        """The class that makes a connection, of one that the application asked for."""


class Entrance:
    """The door as the connections to one database's slot find it.

    Args:
        database: The database's key in the configuration.
        address: The slot's.
        number: Of the slot; 0 is the one that the configuration's URL names.
        home: The entrance with number 0, if it is not this one.
    """

    def __init__(
        self, database: str, address: Address, number: int = 0, home: Entrance | None = None
    ) -> None:
        self.database = database
        self.address = address
        self.number = number
        self.home = home or self
        self.known_as = [address]
        """Every address that leads here; the last is the slot's own."""
        self.joining = Joining(database, address.engine)
        self.connection_class: ConnectionClass = lambda wanted: wanted
        self.refusal: Callable[[], SlipstreamError] | None = None
        self.listener: Listener | None = None
        self._callbacks: list[OnConnect] = []
        self._ownership: Watch | None = None

    def watch_use(self, ownership: Watch) -> None:
        """From now on, a connection that is opened here works in its owner's hands only."""
        self.joining.check = partial(ownership.check, self)
        self._ownership = ownership

    @property
    def joins(self) -> bool:
        """Whether connections opened now must be of the classes that can join."""
        return self.joining.possible or self.is_watched

    @property
    def is_watched(self) -> bool:
        """Whether each use of a connection must be seen, because tests may be in flight."""
        return self._ownership is not None

    @property
    def renamed(self) -> bool:
        """Whether a call may name the slot by an address that is not its own."""
        return self.number > 0 or len(self.known_as) > 1

    def move(self, address: Address) -> None:
        """The slot is another one; connections to the one before lead to it, too."""
        self.known_as.append(address)
        self.address = address

    def passed(self) -> Entrance:
        """Somebody connects; raises `refusal` where the running test may not."""
        if self.refusal is not None:
            raise self.refusal()
        if self.listener is not None:
            self.listener.asked()
        return self

    def class_of(self, wanted: type) -> type:
        """What makes a connection of a driver whose own class cannot be told from outside."""
        return wanted if self.listener is None else self.listener.connection_class(wanted)

    def given(self, connection: Any) -> None:
        """The application gets a connection, now that all is prepared."""
        if self.listener is not None:
            self.listener.given(connection)

    @property
    def callbacks(self) -> tuple[OnConnect, ...]:
        """What is called with every new connection."""
        return tuple(self._callbacks)

    def on_connect(self, callback: OnConnect) -> None:
        """Have ``callback`` called with every new physical connection of the application."""
        self._callbacks.append(callback)

    def opened(self, physical: Any) -> None:
        """The drivers tell of a new physical connection."""
        if self._ownership is not None:
            self._ownership.note(physical, self)
        for callback in self._callbacks:
            callback(physical)
