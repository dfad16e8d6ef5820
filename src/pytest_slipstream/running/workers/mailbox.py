"""Messages that wait until their reader looks: what need not wake it.

A message to a process that waits for it wakes that process, which costs both more than a small test
does. The invariant: a message is in the mailbox whole, also when its writer is killed, or not at
all; one that does not fit has to go another way.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

_LONGEST = 60_000
_ROOM = 1 << 20


def pair() -> tuple[socket.socket, socket.socket]:
    """The reader's end and the writer's."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (reader, writer):
        end.setblocking(False)
    with suppress(OSError):  # the system gives as much of it as it likes
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    return reader, writer


def post(writer: socket.socket, message: bytes) -> bool:
    """Put a message into it; whether it fitted."""
    if len(message) > _LONGEST:
        return False
    try:
        writer.send(message)
    except OSError:  # full, too long for this system, or nobody reads
        return False
    return True


def posted(reader: socket.socket) -> Iterator[bytes]:
    """The messages in it."""
    with suppress(BlockingIOError):
        while True:
            yield reader.recv(_LONGEST)
