"""A worker's messages by two ways: all of them, in the order in which they were sent."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest

from pytest_slipstream.running.workers import mailbox
from pytest_slipstream.running.workers.channel import Channel
from pytest_slipstream.running.workers.handle import Forked, Worker
from pytest_slipstream.running.workers.messages import Ran, Started, Wanted


class Ends:
    """A worker's ends, and its parent's view of it."""

    def __init__(self) -> None:
        parents, workers = Pipe()
        box, posting = mailbox.pair()
        reading, self._writing = os.pipe()
        self.connection: Connection[Any, Any] = workers
        self.posting: socket.socket = posting
        self.channel = Channel(workers, posting)
        self.worker = Worker("gw0", Forked(0), parents, reading, box)

    def close(self) -> None:
        """Close all."""
        self.worker.close()
        self.connection.close()
        self.posting.close()
        os.close(self._writing)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def positions(worker: Worker, *, last: bool = False) -> list[int]:
    """Of the tests that it says to have started."""
    told = worker.messages(last=last)
    return [message.position for message in told if isinstance(message, Started)]


def test_what_is_posted_waits_until_somebody_looks(ends: Ends) -> None:
    ends.channel.post(Started(1))
    ends.channel.post(Started(2))
    assert not ends.worker.connection.poll()
    assert positions(ends.worker) == [1, 2]
    assert positions(ends.worker) == []


def test_what_overtook_others_waits_for_them(ends: Ends) -> None:
    ends.channel.send(Started(1))
    ends.channel.post(Started(2))
    assert positions(ends.worker) == []
    ends.worker.receive()
    assert positions(ends.worker) == [1, 2]


def test_what_does_not_fit_wakes_the_parent(ends: Ends) -> None:
    ends.channel.post(Started(1))
    ends.channel.post(Ran("x" * 100_000, []))
    ends.channel.post(Started(2))
    assert ends.worker.connection.poll()
    ends.worker.receive()
    kinds = [type(message) for message in ends.worker.messages()]
    assert kinds == [Started, Ran, Started]


def test_a_full_mailbox_loses_nothing(ends: Ends) -> None:
    sent = 0
    while not ends.worker.connection.poll():
        sent += 1
        ends.channel.post(Started(sent))
    ends.worker.receive()
    assert positions(ends.worker) == list(range(1, sent + 1))


def test_one_that_was_never_sent_holds_up_none_after_it(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends.channel.post(Started(1))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mailbox, "post", _interrupted)
        ends.channel.post(Started(2))
    ends.channel.post(Started(3))
    assert positions(ends.worker) == [1]
    ends.channel.send(Wanted())
    ends.worker.receive()
    assert positions(ends.worker) == [3]


def test_at_the_end_nothing_is_waited_for(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mailbox, "post", _interrupted)
        ends.channel.post(Started(1))
    ends.channel.post(Started(2))
    assert positions(ends.worker) == []
    assert positions(ends.worker, last=True) == [2]


def test_a_message_that_broke_off_is_the_end_of_the_connection(ends: Ends) -> None:
    os.write(ends.connection.fileno(), (1000).to_bytes(4, "big") + b"the beginning")
    ends.connection.close()
    with pytest.raises(EOFError):
        ends.worker.receive()


def _interrupted(*message: object) -> bool:
    raise KeyboardInterrupt
