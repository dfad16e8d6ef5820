"""The transport that asyncpg is given in the place of a socket.

A request goes to the test's session while a `rollback` test runs, and else to a session of the
connection's own. The invariant: asyncpg sees one server, in the state that the application has
brought it to, whichever session answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from pytest_slipstream.databases.routing.drivers import postgresql_messages as messages
from pytest_slipstream.databases.routing.drivers.asyncpg_requests import (
    Exchange,
    Request,
    Requests,
)
from pytest_slipstream.databases.routing.drivers.asyncpg_route import Route, session_of
from pytest_slipstream.databases.routing.drivers.asyncpg_sending import Sending
from pytest_slipstream.databases.routing.drivers.asyncpg_session import Refused, Session
from pytest_slipstream.databases.routing.drivers.asyncpg_settings import Settings
from pytest_slipstream.databases.routing.drivers.asyncpg_transport import Transport
from pytest_slipstream.databases.routing.physical import TestConnection
from pytest_slipstream.databases.routing.uncontained import Uncontained


class Wire(Transport):
    """One connection of the application.

    Args:
        loop: The application's event loop.
        route: Finds the session for each request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, route: Route) -> None:
        super().__init__()
        self.loop = loop
        self.error: BaseException | None = None
        self._route = route
        self._joining = route.joining
        self._written = bytearray()
        self._requests = Requests()
        self._settings = Settings()
        self._request: Request | None = None
        self._exchange: Exchange | None = None
        self._session: Session | None = None
        self._sending = Sending(loop, self._lose)
        self._owed = False
        self._paused = False
        self._closing = False
        self._task: asyncio.Task[Any] | None = None
        self._opening: asyncio.Task[None] | None = None

    # asyncio.Transport, for asyncpg

    def write(self, data: Any) -> None:
        """Take what asyncpg sends."""
        self._written += data
        if self._route.key is None:
            self._start()
        if self._route.key is not None:
            for sent in messages.cut(self._written):
                self._take(sent)

    def is_closing(self) -> bool:
        """Whether asyncpg closed it."""
        return self._closing

    def pause_reading(self) -> None:
        """Deliver nothing for now."""
        self._paused = True
        if self.is_speaking and self._session is not None:
            self.loop.remove_reader(self._session)

    def resume_reading(self) -> None:
        """Deliver again."""
        self._paused = False
        if self.is_speaking and self._session is not None:
            self.loop.add_reader(self._session, self._readable)

    def close(self) -> None:
        """The application is done with it; what it has not committed is undone."""
        self.abort()

    def abort(self) -> None:
        """End the connection."""
        if self._closing:
            return
        self._closing = True
        with suppress(RuntimeError):  # the event loop is closed
            self.loop.call_soon(self.protocol.connection_lost, None)
        if self._session is not None:
            self.cancel()  # when it is ready again, `_release` goes on from here
        else:
            self._part()

    # The beginning

    def _start(self) -> None:
        if messages.is_encryption_request(self._written):
            del self._written[:8]
            self.loop.call_soon(self.protocol.data_received, b"N")
            return
        parameters = messages.startup(self._written)
        if parameters is not None:
            self._route.start(parameters)
            self._do(self._welcome())

    async def _welcome(self) -> None:
        while (session := self._route.ready()) is None:
            await self._route.find()
        self._deliver(session.welcome + messages.ready(b"I"))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._opening = self.loop.create_task(self._done(work))

    async def _done(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException as error:  # noqa: BLE001 - asyncpg's caller gets it
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self._closing = True
        self.protocol.connection_lost(error)

    # Requests

    def _take(self, sent: bytes) -> None:
        kind = sent[:1]
        if kind == b"X":
            self.abort()
        elif kind in (b"d", b"c", b"f"):
            self._copy(sent)
        elif kind == b"S" and self._requests.is_between:
            self._synchronise()
        else:
            request = self._requests.add(sent)
            if request is not None:
                self._request, self._owed = request, False
                self._task = _current_task()
                self._seek()

    def _copy(self, sent: bytes) -> None:
        """asyncpg gives a COPY its data without waiting for the server to agree to it."""
        if self._exchange is not None:
            self._send(sent)
        elif self._request is not None:
            self._request = msgspec.structs.replace(self._request, sent=(*self._request.sent, sent))

    def _synchronise(self) -> None:
        """asyncpg gives up what it prepared, and waits for `ready` after all."""
        if self._request is not None:
            self._owed = True
        else:
            self._answer(messages.ready(self._route.status(self)))

    def _seek(self) -> None:
        """Ask for the session that the request goes to."""
        session = self._route.ready()
        if session is None:
            self._do(self._find_and_go())
            return
        holder = session.holder
        if isinstance(holder, Wire) and holder.copies_in_this_task:
            self._joining.give_up("it uses one connection while it copies through another")
        self._session = session
        if session.take(self):
            self._go()

    async def _find_and_go(self) -> None:
        await self._route.find()
        self._seek()

    @property
    def copies_in_this_task(self) -> bool:
        """Whether the task that now runs is the one that it gives data to or takes it from."""
        return (
            self._exchange is not None
            and self._exchange.request.copies
            and self._task is not None
            and self._task is _current_task()
        )

    @property
    def is_speaking(self) -> bool:
        """Whether the server works on a request of it."""
        return self._exchange is not None

    def granted(self) -> None:
        """It has the session now; on its event loop, called by `Session.leave`."""
        session, connection = self._session, self._route.connection
        is_over = connection is not None and self._joining.current is not connection
        try:
            if self._request is None:
                self._release()
            elif is_over or session is None or not session.open:
                self._seek_again()
            else:
                self._go()
        except Exception as error:  # noqa: BLE001 - asyncpg's caller gets it
            self._fail(error)

    def _go(self) -> None:
        """Send the request, with what keeps it apart from other connections' before it."""
        request, session, connection = self._request, self._session, self._route.connection
        assert request is not None
        assert session is not None
        before: tuple[str, ...] = ()
        forwarded = connection is None or request.tag is None
        if connection is not None:
            answer = self._own_answer(request, session, connection)
            if answer is not None:
                self._answer(answer)
                self._release()
                return
            try:
                plan = connection.plan(self, request.sql)
            except Uncontained as why:
                self._give_up(why.reason)
                return
            before = plan.before if forwarded else plan.texts
        before = self._with_settings(before, session, forwarded=forwarded)
        data, added = messages.query(messages.join(before)) if before else b"", 0
        if forwarded:
            translated, added = self._requests.translated(request, session.prepared)
            data += translated
        self._exchange = Exchange(request, before=bool(before), added=added, forwarded=forwarded)
        self._send(data)
        if not self._paused:
            self.loop.add_reader(session, self._readable)

    def _own_answer(
        self, request: Request, session: Session, connection: TestConnection
    ) -> bytes | None:
        """The answer to what the server of a shared session is not asked."""
        within = connection.transactions.is_open(self)
        if request.answer_to_resetting is not None and not within:
            self._settings.done(request.sql, within=False)
            return request.answer_to_resetting
        alone = connection.transactions.open == {self} and self._route.status(self) == b"T"
        if request.tag == "COMMIT" and alone:
            try:
                session.check_deferred()
            except Refused as refusal:  # as at a real commit, the transaction is undone
                session.run(*connection.transactions.rollback(self, aborted=True))
                session.applied = None
                self._settings.ended(committed=False)
                return refusal.answer + messages.ready(b"I")
        return request.answer_to_preparing

    def _with_settings(
        self, before: tuple[str, ...], session: Session, *, forwarded: bool
    ) -> tuple[str, ...]:
        """Add what makes the session's settings the connection's; a rollback undoes settings."""
        undone = any(text.startswith("ROLLBACK") for text in before)
        if undone:
            session.applied = None
        within_failed = session.status == b"E" and not undone
        within_own = self._route.connection is None and session.status != b"I"
        if not forwarded or within_failed or within_own:
            return before
        missing = self._settings.missing(session.applied)
        session.applied = self._settings.wanted
        return before + missing

    def _give_up(self, reason: str) -> None:
        """The request cannot be contained: it goes to a session of the connection's own."""
        try:
            self._joining.give_up(reason)
        except BaseException:
            self._release()
            raise
        self._seek_again()

    def _seek_again(self) -> None:
        request = self._request
        self._release()
        self._request = request
        self._seek()

    def _send(self, data: bytes) -> None:
        assert self._session is not None
        self._sending.send(self._session, data)

    # Answers

    def _readable(self) -> None:
        session, exchange = self._session, self._exchange
        assert session is not None
        assert exchange is not None
        try:
            answers = session.receive()
        except OSError as error:
            self._lose(error)
            return
        told = b"".join([exchange.hear(answer) for answer in answers])
        if exchange.is_over:
            told += self._finish(exchange)
        if told:
            self._deliver(told)

    def _finish(self, exchange: Exchange) -> bytes:
        status, session = self._route.status(self), self._session
        if not exchange.failed and session is not None:
            session.applied = self._settings.after(
                exchange.request.sql,
                exchange.request.tag,
                within=status != b"I",
                shared=self._route.connection is not None,
                applied=session.applied,
            )
        end = exchange.end(status)
        owed, self._owed = self._owed, False
        self._release()
        return messages.ready(status) if owed and not end else end

    def _answer(self, data: bytes) -> None:
        """Answer without the server: asyncpg is still within its call of `write`."""
        self.loop.call_soon(self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if not self._closing:
            self.protocol.data_received(data)

    def _release(self) -> None:
        """The session is free for the next one."""
        session, self._session = self._session, None
        self._exchange, self._request = None, None
        assert session is not None
        with suppress(ValueError, OSError):  # its socket is closed
            self.loop.remove_reader(session)
        session.leave()
        if self._closing:
            self._part()

    def _lose(self, error: OSError) -> None:
        session = self._session
        assert session is not None
        self._release()
        session.close()
        self._fail(error)

    # The end

    def cancel(self) -> None:
        """The application waits no more for its request."""
        session = self._session
        if session is None:
            return
        if self.is_speaking:
            session.cancel()
        elif session.withdraw(self):
            self._session, self._request = None, None
            canceled = messages.error("57014", "canceling statement due to user request")
            self._answer(canceled + messages.ready(self._route.status(self)))

    def _part(self) -> None:
        """The application's connection is closed: its transaction is rolled back."""
        self._route.close()
        connection = self._joining.current
        if connection is None or not connection.transactions.is_open(self):
            return
        self._session = session = session_of(connection)
        if session.take(self):
            try:
                plan = connection.plan(self, "ROLLBACK")
                session.run(*plan.before, plan.sql)
            except Uncontained as why:
                self._joining.give_up(why.reason)
            finally:
                self._session = None
                session.leave()


def _current_task() -> asyncio.Task[Any] | None:
    with suppress(RuntimeError):  # no event loop runs
        return asyncio.current_task()
    return None
