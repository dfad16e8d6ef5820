"""PostgreSQL's wire protocol, version 3: messages taken apart and put together.

Pure. Source: "Message Formats" in the PostgreSQL manual, chapter "Frontend/Backend Protocol". The
invariant: a stream that is cut into messages and joined again is the same stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import msgspec

READY = b"Z"
ERROR = b"E"
ROW = b"D"
PARSE_COMPLETE = b"1"
BIND_COMPLETE = b"2"
CLOSE_COMPLETE = b"3"
_LENGTH, _ROW = struct.Struct("!i"), ROW[0]
_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102


def cut(stream: bytearray) -> list[bytes]:
    """Take the complete messages off the front of ``stream``."""
    messages = []
    start, end = 0, len(stream)
    while end - start >= 5:
        stop = start + 1 + int.from_bytes(stream[start + 1 : start + 5], "big")
        if stop > end:
            break
        messages.append(bytes(stream[start:stop]))
        start = stop
    del stream[:start]
    return messages


def answers(stream: bytearray) -> list[bytes]:
    """Take the complete messages of a server off the front of ``stream``.

    Rows that follow each other stay together: a result may have many thousands.
    """
    found = []
    start = rows = 0
    end = len(stream)
    while end - start >= 5:
        stop = start + 1 + _LENGTH.unpack_from(stream, start + 1)[0]
        if stop > end:
            break
        if stream[start] != _ROW:
            if rows < start:
                found.append(bytes(stream[rows:start]))
            found.append(bytes(stream[start:stop]))
            rows = stop
        start = stop
    if rows < start:
        found.append(bytes(stream[rows:start]))
    del stream[:start]
    return found


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message of one kind."""
    return kind + struct.pack("!i", len(body) + 4) + body


def query(sql: str) -> bytes:
    """A simple query; several statements are separated by semicolons."""
    return message(b"Q", sql.encode() + b"\0")


def ready(status: bytes) -> bytes:
    """The server is ready: ``I`` idle, ``T`` in a transaction, ``E`` in a failed one."""
    return message(READY, status)


def complete(tag: str) -> bytes:
    """A command has done its work."""
    return message(b"C", tag.encode() + b"\0")


def error(sqlstate: str, text: str) -> bytes:
    """An error of the server."""
    return message(ERROR, f"SERROR\0VERROR\0C{sqlstate}\0M{text}\0".encode() + b"\0")


def text_of_error(received: bytes) -> str:
    """The text of an error that the server sent."""
    fields = received[5:].split(b"\0")
    return next((field[1:].decode(errors="replace") for field in fields if field[:1] == b"M"), "")


def welcome(parameters: Mapping[str, str], pid: int, secret: int) -> bytes:
    """What a server says to a client that it lets in, up to the first `ready`."""
    told = b"".join(
        message(b"S", f"{name}\0{value}\0".encode()) for name, value in parameters.items()
    )
    return message(b"R", bytes(4)) + told + message(b"K", struct.pack("!ii", pid, secret))


def cancel_request(pid: int, secret: int) -> bytes:
    """Asks, on a connection of its own, to end what a session does now."""
    return struct.pack("!iiii", 16, _CANCEL_REQUEST, pid, secret)


def is_encryption_request(stream: bytes | bytearray) -> bool:
    """Whether a client asks for encryption before it starts."""
    return len(stream) >= 8 and struct.unpack("!ii", stream[:8]) in (
        (8, _SSL_REQUEST),
        (8, _GSS_REQUEST),
    )


def startup(stream: bytearray) -> dict[str, str] | None:
    """Take a startup message off the front of ``stream``; None while it is not complete."""
    if len(stream) < 8 or len(stream) < int.from_bytes(stream[:4], "big"):
        return None
    length = int.from_bytes(stream[:4], "big")
    words = bytes(stream[8:length]).split(b"\0")
    del stream[:length]
    pairs = iter([word.decode() for word in words])
    return {name: value for name, value in zip(pairs, pairs, strict=False) if name}


class Extended(msgspec.Struct, frozen=True):
    """A message of the extended protocol that names a prepared statement."""

    kind: bytes
    statement: bytes
    before: bytes
    after: bytes

    def under(self, name: bytes) -> bytes:
        """The same message for a statement of another name."""
        return message(self.kind, self.before + name + b"\0" + self.after)


def extended(sent: bytes) -> Extended | None:
    """Read a Parse, Bind, Describe or Close; None if it names no statement."""
    kind, body = sent[:1], sent[5:]
    if kind == b"P":
        head, rest = b"", body
    elif kind == b"B":
        portal, _, rest = body.partition(b"\0")
        head = portal + b"\0"
    elif kind in (b"D", b"C") and body[:1] == b"S":
        head, rest = b"S", body[1:]
    else:
        return None
    name, _, after = rest.partition(b"\0")
    return Extended(kind, name, head, after)


def sql_of(parse: Extended) -> str:
    """The statement's text in a Parse."""
    return parse.after.partition(b"\0")[0].decode()


def join(texts: Iterable[str]) -> str:
    """Several statements as one simple query."""
    return "; ".join(texts)
