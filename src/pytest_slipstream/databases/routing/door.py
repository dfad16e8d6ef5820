"""The door: the one place where the application's connections to a slot are noticed.

The connect calls of the known drivers are replaced, from before the user's code is imported until
the end of the run. The invariant: a call whose target is no slot goes through as it came, and
afterwards every driver is what it was. Slipstream's own connections do not pass: they are made by
the drivers' classes, or by a class of slipstream's own.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType, ModuleType
from typing import Any

from pytest_slipstream import events
from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.routing import drivers
from pytest_slipstream.databases.routing.entrance import Entrance, Listener
from pytest_slipstream.databases.routing.ownership import Ownership
from pytest_slipstream.import_hook import ImportHook


class Door:
    """Replaces connect calls from `put_up` to `take_down`.

    Args:
        emit: Takes events.
    """

    def __init__(self, emit: Callable[[events.Event], None]) -> None:
        self._emit = emit
        self.ownership = Ownership()
        self.listener: Listener | None = None
        self._entrances: list[Entrance] = []
        self._patched: list[tuple[drivers.Patch, Any]] = []
        self._elsewhere: set[str] = set()
        self._hook = ImportHook({name: partial(self._meet, name) for name in drivers.DRIVERS})

    def add(self, database: str, address: Address) -> Entrance:
        """The entrance to a database's slot; before `put_up`."""
        entrance = Entrance(database, address)
        entrance.listener = self.listener
        self._entrances.append(entrance)
        return entrance

    def add_beside(self, home: Entrance, address: Address, number: int) -> Entrance:
        """The entrance to one more slot of a database, for a test in flight."""
        entrance = Entrance(home.database, address, number, home)
        entrance.connection_class = home.connection_class
        entrance.listener = home.listener
        for callback in home.callbacks:
            entrance.on_connect(callback)
        self._entrances.append(entrance)
        entrance.watch_use(self.ownership)
        return entrance

    def put_up(self) -> None:
        """Replace the connect calls of drivers, now or when they are imported."""
        self._hook.put_up()

    def take_down(self) -> None:
        """Put everything back; safe also when nothing was replaced."""
        self._hook.take_down()
        while self._patched:
            patch, original = self._patched.pop()
            setattr(patch.holder, patch.name, original)

    def to_server(self, database: Any) -> Entrance | None:
        """Where a connection to a server's database enters; None if it is no slot.

        Slots have names that nothing else has, so that however the server was named, by host,
        address or socket, does not matter. Where the entrance is `renamed`, the caller connects to
        its address, which is another one in a worker and while tests are in flight together.
        """
        for entrance in self._entrances:
            names = [address.database for address in entrance.known_as if not address.path]
            if database in names:
                return self.ownership.entrance(entrance.passed())
        if database:
            self._note_elsewhere(database)
        return None

    def to_file(self, database: Any, *, is_uri: bool) -> Entrance | None:
        """Where a connection to a SQLite database enters; None if it is no slot.

        As with `to_server`, the caller opens the file that the entrance names.
        """
        candidates = [entrance for entrance in self._entrances if entrance.address.path]
        if not candidates:
            return None
        try:
            name = os.fsdecode(database)
        except TypeError:  # the driver's own error says more
            return None
        for entrance in candidates:
            if any(_same_file(name, address.path, is_uri) for address in entrance.known_as):
                return self.ownership.entrance(entrance.passed())
        if not _is_private(name):
            self._note_elsewhere(name)
        return None

    def _note_elsewhere(self, target: object) -> None:
        """Tell of a connection to another database, once, unless slipstream has it made."""
        name = str(target)
        if name not in self._elsewhere and naming.PREFIX not in name and not _is_own_call():
            self._elsewhere.add(name)
            self._emit(events.ConnectedElsewhere(target=name))

    def _meet(self, driver: str, module: ModuleType) -> None:
        """A driver is there: replace its connect calls."""
        engines = {entrance.address.engine for entrance in self._entrances}
        for name in drivers.DRIVERS[driver]:
            found = importlib.import_module(f"{drivers.__name__}.{name}")
            if found.ENGINE in engines:
                self.replace(driver, partial(found.patches, module, self))

    def replace(self, driver: str, patches: Callable[[], list[drivers.Patch]]) -> bool:
        """Replace what a driver's file wants replaced; False, with an event, if it cannot be."""
        try:
            found = [(patch, vars(patch.holder)[patch.name]) for patch in patches()]
            for patch, original in found:
                setattr(patch.holder, patch.name, patch.replacement)
                self._patched.append((patch, original))
        except (AttributeError, KeyError, TypeError, ImportError) as error:
            # A version whose inside is not as expected: better without routing than broken.
            reason = f"{type(error).__name__}: {error}"
            self._emit(events.DriverLeftAlone(driver=driver, reason=reason))
            return False
        return True


def _is_own_call() -> bool:
    """Whether it is slipstream that connects: by the first caller that is not of the door."""
    room = __name__.rpartition(".")[0]
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(room):
        frame = frame.f_back
    return frame is not None and str(frame.f_globals.get("__name__")).startswith(
        "pytest_slipstream."
    )


def _is_private(name: str) -> bool:
    """Whether nobody else can see it: in memory or temporary; or it is coverage's own."""
    file = name.rpartition("/")[2]
    return not name or ":memory:" in name or "mode=memory" in name or file.startswith(".coverage")


def _same_file(name: str, path: str, is_uri: bool) -> bool:
    if path.startswith("file:"):
        return is_uri and name.split("?")[0] == path.split("?")[0]
    if is_uri and name.startswith("file:"):
        name = _path_of_uri(name)
    if not name or name == ":memory:":
        return False
    return name == path or os.path.realpath(name) == os.path.realpath(path)


def _path_of_uri(uri: str) -> str:
    from urllib.parse import unquote

    path = uri.removeprefix("file:").split("?")[0].split("#")[0]
    if path.startswith("//"):
        path = "/" + path[2:].partition("/")[2]
    return unquote(path)
