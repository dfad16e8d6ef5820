"""Messages of PostgreSQL's protocol, cut and joined."""

from __future__ import annotations

import itertools
import struct

from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.databases.routing.drivers import postgresql_messages as messages

KINDS = st.sampled_from([bytes([letter]) for letter in b"PBDESQXdcfTZC123GHNAR"])


@PROPERTY
@given(st.lists(st.tuples(KINDS, st.binary(max_size=40)), max_size=12), st.data())
def test_a_stream_is_cut_the_same_wherever_it_arrives_in_pieces(
    sent: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    whole = [messages.message(kind, body) for kind, body in sent]
    rest, stream, found = b"".join(whole), bytearray(), []
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        stream += rest[:size]
        rest = rest[size:]
        found += messages.cut(stream)
    assert found == whole
    assert not stream


@PROPERTY
@given(st.lists(st.tuples(KINDS, st.binary(max_size=9)), max_size=12), st.integers(0, 5))
def test_rows_of_a_server_stay_together(sent: list[tuple[bytes, bytes]], missing: int) -> None:
    whole = b"".join(messages.message(kind, body) for kind, body in sent)
    stream = bytearray(whole[: len(whole) - missing])
    found = messages.answers(stream)
    assert b"".join(found) + stream == whole[: len(whole) - missing]
    kinds = [each[:1] for each in found]
    assert (b"D", b"D") not in itertools.pairwise(kinds)
    assert [each for each in found if each[:1] != b"D"] == [
        each for each in messages.cut(bytearray(b"".join(found))) if each[:1] != b"D"
    ]


def test_a_startup_message_waits_for_its_end() -> None:
    body = b"user\0ann\0database\0shop\0\0"
    whole = struct.pack("!ii", len(body) + 8, 196608) + body
    assert messages.startup(bytearray(whole[:-1])) is None
    stream = bytearray(whole + b"more")
    assert messages.startup(stream) == {"user": "ann", "database": "shop"}
    assert stream == b"more"


def test_encryption_is_asked_for_before_the_start() -> None:
    assert messages.is_encryption_request(struct.pack("!ii", 8, 80877103))
    assert not messages.is_encryption_request(struct.pack("!ii", 16, 196608))
    assert not messages.is_encryption_request(b"\0\0\0\x08")


def test_a_statement_gets_another_name() -> None:
    bind = messages.message(b"B", b"portal\0\0\0\0\0\0\0\0")
    named = messages.extended(bind)
    assert named is not None
    assert named.statement == b""
    assert named.under(b"") == bind
    assert messages.extended(named.under(b"own")).statement == b"own"  # type: ignore[union-attr]
    assert messages.extended(messages.message(b"D", b"Pportal\0")) is None


def test_the_text_of_an_error() -> None:
    assert messages.text_of_error(messages.error("57014", "too late")) == "too late"
