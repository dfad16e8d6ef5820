"""Whose code is running, and which slots are its own, while tests are in flight together.

The invariant: while tests are in flight together, code reaches the slots of the test that it
belongs to, or an `IsolationError`; never another test's. A context variable tells the owner. Where
none travels along, in threads, the one who started the thread or submitted the work does.
"""

from __future__ import annotations

import subprocess
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_slipstream.databases.routing.children import inherited, variables_of_child
from pytest_slipstream.errors import IsolationError

if TYPE_CHECKING:
    from pytest_slipstream.databases.routing.entrance import Entrance

_ALONE = "mark the test with @pytest.mark.sequential"


class Owner:
    """A test, or a wider fixture's set-up, that owns slots from its making to `end`.

    Args:
        name: The test's node id, or the fixture in words.
        entrances: Where its connections go, by the database's name.
    """

    def __init__(self, name: str, entrances: Mapping[str, Entrance]) -> None:
        self.name = name
        self.entrances = entrances
        self.is_over = False

    def end(self) -> None:
        """It owns nothing any more."""
        self.is_over = True


NOBODY = Owner("nobody", {})
_OWNER: ContextVar[Owner | None] = ContextVar("slipstream_owner_of_slots", default=None)


@contextmanager
def owned_by(owner: Owner) -> Iterator[None]:
    """The code within belongs to ``owner``, and so does what it starts."""
    token = _OWNER.set(owner)
    try:
        yield
    finally:
        _OWNER.reset(token)


class Ownership:
    """Who owns what in this process."""

    def __init__(self) -> None:
        self.in_flight = 0
        """How many tests are in flight together; with none, everything is the running test's."""
        self._opened_at: weakref.WeakKeyDictionary[Any, Entrance] = weakref.WeakKeyDictionary()
        self._threads: weakref.WeakKeyDictionary[threading.Thread, Owner] = (
            weakref.WeakKeyDictionary()
        )

    def owner(self) -> Owner:
        """Whose the running code is."""
        found = _OWNER.get()
        if found is None:
            found = self._threads.get(threading.current_thread(), NOBODY)
        return found

    def entrance(self, asked: Entrance) -> Entrance:
        """Where a new connection to the slot that its target names goes.

        Raises:
            IsolationError: Nobody owns one, or the target is another test's.
        """
        if not self.in_flight and not asked.number:
            return asked
        own = self._own(asked)
        if asked.number and asked is not own:
            raise IsolationError(
                f"{self.owner().name} connects to a slot of the database {asked.database!r} that "
                "is another test's: its URL was kept from that test",
                hint=f"take the URL in the test or in a function-scoped fixture, or {_ALONE}",
            )
        return own

    def check(self, used: Entrance) -> None:
        """A connection is used that was opened at ``used``.

        Raises:
            IsolationError: By somebody who does not own that slot.
        """
        if not self.in_flight and not used.number:
            return
        if self._own(used) is not used:
            raise IsolationError(
                f"{self.owner().name} uses a connection to the database {used.database!r} that "
                "leads to another slot than its own: it was opened by another test, by a wider "
                "fixture or by a module, and tests in flight together have a database each",
                hint=f"open it in the test or in a function-scoped fixture, or {_ALONE}",
            )

    def note(self, connection: Any, entrance: Entrance) -> None:
        """The application opened a connection."""
        with suppress(TypeError):  # of a class that knows no weak references
            self._opened_at[connection] = entrance

    def opened_at(self, connection: Any) -> Entrance | None:
        """Where the application opened a connection, as far as that is known."""
        try:
            return self._opened_at.get(connection) if self._opened_at else None
        except TypeError:
            return None

    def own(self, database: str) -> Entrance | None:
        """Where the running code's connections to a database go; None where nobody's do."""
        owner = self.owner()
        return None if owner.is_over or not self.in_flight else owner.entrances.get(database)

    def is_own(self, used: Entrance) -> bool:
        """Whether the running code may use connections that were opened at ``used``."""
        if not self.in_flight:
            return not used.number
        return self.own(used.database) is used

    def _own(self, asked: Entrance) -> Entrance:
        owner = self.owner()
        found = owner.entrances.get(asked.database)
        if found is not None and not owner.is_over and self.in_flight:
            return found
        what = f"the database {asked.database!r}"
        if owner is NOBODY:
            raise IsolationError(
                f"code of which it is not known to which test it belongs uses {what}"
                + (", while tests are in flight together" if self.in_flight else ""),
                hint="start the thread, the task or the process in the test that needs it, or "
                + _ALONE,
            )
        if owner.is_over or not self.in_flight:
            raise IsolationError(
                f"what {owner.name} started uses {what}, after its end",
                hint=f"wait for it in the test or in a function-scoped fixture, or {_ALONE}",
            )
        raise IsolationError(
            f"{owner.name} uses {what}, and owns no slot of it",
            hint="mark the test with @pytest.mark.db, or use a fixture of slipstream's",
        )

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow the owner into threads, pools of threads and child processes."""
        from multiprocessing.process import BaseProcess  # an ordinary run does without

        start, submit = threading.Thread.start, ThreadPoolExecutor.submit
        popen, spawn = subprocess.Popen.__init__, BaseProcess.start

        def started(thread: threading.Thread) -> None:
            self._threads[thread] = self.owner()
            start(thread)

        def submitted(
            pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
        ) -> Any:
            work = partial(_run_as, self.owner(), function)
            return submit(pool, work, *args, **kwargs)

        def entrances() -> Iterable[Entrance]:
            return self.owner().entrances.values() if self.in_flight else ()

        def opened(process: Any, *args: Any, **kwargs: Any) -> None:
            popen(process, *args, **variables_of_child(args, kwargs, entrances()))

        def spawned(process: BaseProcess) -> None:
            with inherited(entrances()):
                spawn(process)

        with (
            owned_by(NOBODY),
            _replaced(
                (threading.Thread, "start", started),
                (ThreadPoolExecutor, "submit", submitted),
                (subprocess.Popen, "__init__", opened),
                (BaseProcess, "start", spawned),
            ),
        ):
            yield


@contextmanager
def _replaced(*methods: tuple[type, str, Callable[..., Any]]) -> Iterator[None]:
    originals = [(holder, name, vars(holder)[name]) for holder, name, _ in methods]
    for holder, name, replacement in methods:
        setattr(holder, name, replacement)
    try:
        yield
    finally:
        for holder, name, original in originals:
            setattr(holder, name, original)


def _run_as(owner: Owner, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with owned_by(owner):
        return function(*args, **kwargs)
