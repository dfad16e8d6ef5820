"""What asyncpg asks of a server, request by request, and what it is told of the answers.

Pure. The invariant: whichever sessions answer, asyncpg receives for each request what one server,
asked nothing else, would have sent.
"""

from __future__ import annotations

import msgspec

from pytest_slipstream.databases.routing import statements
from pytest_slipstream.databases.routing.drivers import postgresql_messages as messages
from pytest_slipstream.databases.routing.drivers.asyncpg_settings import resets
from pytest_slipstream.databases.routing.statements import Kind

_TAGS = {
    Kind.BEGIN: "BEGIN",
    Kind.COMMIT: "COMMIT",
    Kind.ROLLBACK: "ROLLBACK",
    Kind.SAVEPOINT: "SAVEPOINT",
    Kind.RELEASE: "RELEASE",
    Kind.ROLLBACK_TO: "ROLLBACK",
}
_NOTHING_TO_DESCRIBE = messages.message(b"t", bytes(2)) + messages.message(b"n")


class Request(msgspec.Struct, frozen=True):
    """What asyncpg sends up to the point where it waits.

    Args:
        sent: The messages, without the Sync or Flush at the end.
        sql: The statement that they execute; "" for what only prepares or reads on.
        parsed: The statement that they only prepare.
        flushed: Whether it ended in a Flush: asyncpg expects no `ready`.
    """

    sent: tuple[bytes, ...]
    sql: str = ""
    parsed: str = ""
    flushed: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether it is a simple query."""
        return self.sent[0][:1] == b"Q"

    @property
    def copies(self) -> bool:
        """Whether it gives the application data, or takes it, while it goes on."""
        return self.is_simple and self.sql.lstrip()[:4].lower() == "copy"

    @property
    def tag(self) -> str | None:
        """What the server says when it has carried out a transaction's control."""
        return _TAGS.get(statements.read(self.sql, "postgresql").kind)

    @property
    def answer_to_resetting(self) -> bytes | None:
        """The answer to a pool that takes a connection back: others must not lose by it."""
        if not (self.is_simple and resets(self.sql)):
            return None
        return messages.complete("RESET") + messages.ready(b"I")

    @property
    def answer_to_preparing(self) -> bytes | None:
        """The answer where only the control of a transaction is prepared: nobody is asked."""
        if not self.parsed or statements.read(self.parsed, "postgresql").kind not in _TAGS:
            return None
        return messages.message(messages.PARSE_COMPLETE) + _NOTHING_TO_DESCRIBE


class Requests:
    """Cuts what one connection writes into requests.

    Its statements have names that are unique in the process, save for the unnamed one, which gets
    such a name; so several connections can share a session.
    """

    def __init__(self) -> None:
        self._batch: list[bytes] = []
        self._parses: dict[bytes, tuple[bytes, str]] = {}
        self._unnamed = f"slipstream_{id(self):x}".encode()

    @property
    def is_between(self) -> bool:
        """Whether nothing of the next request has been written yet."""
        return not self._batch

    def add(self, sent: bytes) -> Request | None:
        """Take a message; the request that it completes."""
        self._batch.append(sent)
        if sent[:1] not in (b"Q", b"S", b"H"):
            return None
        batch, self._batch = self._batch, []
        if sent[:1] == b"Q":
            return Request((sent,), sent[5:-1].decode())
        read = [self._read(each) for each in batch[:-1]]
        return Request(
            tuple(each for each, _, _ in read),
            next((sql for _, kind, sql in read if kind == b"B"), ""),
            next((sql for _, kind, sql in read if kind == b"P"), ""),
            sent[:1] == b"H",
        )

    def _read(self, sent: bytes) -> tuple[bytes, bytes, str]:
        """The message under its statement's own name, its kind, and the statement's text."""
        named = messages.extended(sent)
        if named is None:
            return sent, sent[:1], ""
        name = named.statement or self._unnamed
        renamed = named.under(name)
        if named.kind == b"P":
            self._parses[name] = (renamed, messages.sql_of(named))
        _, sql = self._parses.get(name, (b"", ""))
        if named.kind == b"C":
            self._parses.pop(name, None)
        return renamed, named.kind, sql

    def translated(self, request: Request, prepared: set[bytes]) -> tuple[bytes, int]:
        """A request for a session.

        Args:
            request: Of this connection.
            prepared: The names of the statements that the session knows; brought up to date.

        Returns:
            What to send, and how many statements it prepares that asyncpg believes prepared.
        """
        if request.is_simple:
            return b"".join(request.sent), 0
        pieces, added = [], 0
        for each in request.sent:
            named = messages.extended(each)
            name = named.statement if named is not None else b""
            if each[:1] == b"P" and name in prepared:
                pieces.append(messages.message(b"C", b"S" + name + b"\0"))
            elif each[:1] in (b"B", b"D") and name not in prepared and name in self._parses:
                pieces.append(self._parses[name][0])
                added += 1
            if each[:1] == b"C":
                prepared.discard(name)
            elif name:
                prepared.add(name)
            pieces.append(each)
        return b"".join(pieces) + messages.message(b"S"), added


class Exchange:
    """The answers to one request.

    Args:
        request: What asyncpg sent.
        before: Whether statements of slipstream's own were sent before it.
        added: How many statements were prepared before it.
        forwarded: Whether it was sent; else the own statements stand in its place.
    """

    def __init__(self, request: Request, *, before: bool, added: int, forwarded: bool) -> None:
        self.request = request
        self._own = before
        self._added = added
        self._forwarded = forwarded
        self._closes = sum(each[:1] == b"C" for each in request.sent)
        self.failed = False
        self.is_over = False

    def hear(self, answer: bytes) -> bytes:
        """Take an answer of the server; what of it asyncpg is told."""
        kind = answer[:1]
        if kind == messages.READY:
            self.is_over = not (self._own and self._forwarded)
            self._own = False
            return b""
        if self._own:
            self.failed |= kind == messages.ERROR and not self._forwarded
            return answer if self.failed or kind in (b"A", b"S") else b""
        if kind == messages.PARSE_COMPLETE and self._added:
            self._added -= 1
            return b""
        if kind == messages.CLOSE_COMPLETE and not self._closes:
            return b""
        self.failed |= kind == messages.ERROR
        return answer

    def end(self, status: bytes) -> bytes:
        """What asyncpg is told when the server is ready.

        Args:
            status: Of the application's transaction.
        """
        if self.request.flushed:
            return b""
        done = b""
        if not self._forwarded and not self.failed:
            bound = b"" if self.request.is_simple else messages.message(messages.BIND_COMPLETE)
            done = bound + messages.complete(self.request.tag or "")
        return done + messages.ready(status)
