"""Databases of a PostgreSQL server that are made ahead, and dropped later, by a thread.

The invariant: what was handed in to be dropped is dropped, at the latest when the run is over, or
by the next run if this one is killed; and only names of slipstream's own are ever dropped.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter, deque
from collections.abc import Callable

import msgspec

from pytest_slipstream.databases.engines.postgresql.sessions import (
    Session,
    SessionError,
    Sessions,
)
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.postgresql.parking import quoted
from pytest_slipstream.databases.memoising.postgresql.places import is_left
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX
from pytest_slipstream.databases.memoising.whole.statements import Create, Facts

_OWN = f"{PREFIX}db_"
_LISTED = f"SELECT datname FROM pg_database WHERE starts_with(datname, '{_OWN}')"
_MOST_TO_DROP = 8
"""So many may wait: more would only move the work to the end of the run."""
_FRUITLESS = 5
"""So many may be made in vain, because the template was another when they were asked for."""
# While it waits for somebody to leave the template, nobody else can come in.
_PATIENCE_S = 2.0
_IDLE_S = 1.0
_numbers = itertools.count(1)


class Spare(msgspec.Struct, frozen=True):
    """A database that was made from a template in this state."""

    name: str
    state: str


class WholeServer:
    """One role on one server.

    Args:
        address: A database of the server from which databases are made and dropped.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._wake = threading.Condition()
        self._wanted: dict[tuple[str, str], tuple[Create, Facts]] = {}
        self._spares: dict[tuple[str, str], deque[Spare]] = {}
        self._stale: Counter[tuple[str, str]] = Counter()
        self._to_drop: deque[str] = deque()
        self._is_busy = False
        self._making: tuple[str, str] | None = None
        self._rests = False
        self._thread: threading.Thread | None = None
        self.problem: str | None = None
        """Why something could not be made or dropped."""

    def take(self, create: Create, state: str) -> Spare | None:
        """A database that the statement could have made, if there is one."""
        key = (create.template, create.options)
        with self._wake:
            self._wanted.pop(key, None)
            self._wake.wait_for(lambda: self._making != key, _PATIENCE_S)  # it is half made
            spares = self._spares.get(key, deque())
            while spares:
                spare = spares.popleft()
                if spare.state == state:
                    return spare
                self._stale[key] += 1
                self._drop(spare.name)
        return None

    def give_back(self, create: Create, spare: Spare) -> None:
        """It was not used after all."""
        with self._wake:
            self._spares.setdefault((create.template, create.options), deque()).append(spare)

    def want(self, create: Create, facts: Facts) -> None:
        """Have a database made for the next such statement."""
        key = (create.template, create.options)
        with self._wake:
            if self._stale[key] < _FRUITLESS:
                self._wanted[key] = (create, facts)
                self._begin()

    def has_room(self) -> bool:
        """Whether one more database may wait to be dropped."""
        return len(self._to_drop) < _MOST_TO_DROP

    def drop(self, name: str) -> None:
        """A database is out of sight under this name: drop it soon."""
        with self._wake:
            self._drop(name)
            self._begin()

    def flush(self) -> None:
        """Have nothing of slipstream's on the server, now."""
        with self._wake:
            while True:
                self._wanted.clear()
                for spares in self._spares.values():
                    self._to_drop.extend(spare.name for spare in spares)
                self._spares.clear()
                if self._to_drop and self.problem is None:
                    self._begin()
                if self._thread is None or not (self._to_drop or self._is_busy):
                    return
                self._wake.wait()

    def end(self) -> None:
        """Drop everything, and end the thread."""
        self.flush()
        self.rest()

    def rest(self) -> None:
        """End the thread after what it does now; it begins again with the next thing to do."""
        with self._wake:
            thread, self._rests = self._thread, True
            self._wake.notify_all()
        if thread is not None:
            thread.join()
        self._rests = False

    def make(self, statement: str) -> None:
        """Make a database now, over a session of slipstream's own.

        Raises:
            SessionError: It cannot be made.
        """
        session = Sessions(None).administer(self._address)
        try:
            session.execute(statement)
        finally:
            session.close()

    def at(self, name: str) -> Address:
        """Where a database of the server is."""
        return msgspec.structs.replace(self._address, database=name)

    def new_name(self) -> str:
        """One that nothing has."""
        return f"{_OWN}{os.getpid()}_{next(_numbers)}"

    # What follows is called under the condition, or by the thread.

    def _drop(self, name: str) -> None:
        assert name.startswith(_OWN)
        self._to_drop.append(name)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="slipstream", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def _work(self) -> None:
        """Make what is wanted first, since somebody may wait for it soon."""
        session: Session | None = None
        try:
            while (job := self._next()) is not None:
                if session is None:
                    session = Sessions(None).administer(self._address)
                    self._sweep(session)
                job(session)
        except Exception as error:  # noqa: BLE001 - else who waits for the thread waits for ever
            self.problem = str(error)
        finally:
            if session is not None:
                session.close()
            with self._wake:
                self._thread = None
                self._is_busy, self._making = False, None
                self._wake.notify_all()

    def _next(self) -> Callable[[Session], None] | None:
        with self._wake:
            self._is_busy, self._making = False, None
            self._wake.notify_all()
            while not (self._wanted or self._to_drop or self._rests):
                if not self._wake.wait(_IDLE_S):
                    return None
            self._is_busy = True
            if self._rests:
                return None
            if self._wanted:
                self._making = next(iter(self._wanted))
                create, facts = self._wanted.pop(self._making)
                return lambda session: self._make(session, create, facts)
            name = self._to_drop[0]
            return lambda session: self._drop_one(session, name)

    def _make(self, session: Session, create: Create, facts: Facts) -> None:
        name = self.new_name()
        try:
            before = _state(session, create)
            if before is None:
                return
            session.execute(f"SET statement_timeout = '{_PATIENCE_S}s'")
            session.execute(create.text(name, facts))
            after = _state(session, create)
        except SessionError:
            if session.lost:
                raise
            return  # somebody is in the template: the next statement meets it, too
        finally:
            if not session.lost:
                session.execute("RESET statement_timeout")
        with self._wake:
            if before == after:
                spares = self._spares.setdefault((create.template, create.options), deque())
                spares.append(Spare(name, before))
            else:
                self._drop(name)

    def _drop_one(self, session: Session, name: str) -> None:
        try:
            session.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
        except SessionError as error:
            if session.lost:
                raise  # it is still to be dropped
            self.problem = f"{name} could not be dropped: {error}"
        with self._wake:
            self._to_drop.remove(name)

    def _sweep(self, session: Session) -> None:
        """What a killed run has left."""
        for (name,) in session.execute(_LISTED):
            if is_left(str(name).removeprefix(_OWN)):
                with self._wake:
                    self._drop(str(name))


def _state(session: Session, create: Create) -> str | None:
    ((*_, since, _, state),) = session.execute(create.question)
    return None if state is None else f"{since} {state}"
