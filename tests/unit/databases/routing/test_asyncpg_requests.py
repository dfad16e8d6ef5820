"""What asyncpg asks, and what it is told, whichever session answers."""

from __future__ import annotations

from pytest_slipstream.databases.routing.drivers import postgresql_messages as messages
from pytest_slipstream.databases.routing.drivers.asyncpg_requests import (
    Exchange,
    Request,
    Requests,
)

SYNC, FLUSH = messages.message(b"S"), messages.message(b"H")
PARSED, BOUND = messages.message(b"1"), messages.message(b"2")
IDLE = messages.ready(b"I")


def parse(name: str, sql: str) -> bytes:
    return messages.message(b"P", f"{name}\0{sql}\0".encode() + bytes(2))


def bind(name: str) -> bytes:
    return messages.message(b"B", f"\0{name}\0".encode() + bytes(6))


def describe(name: str) -> bytes:
    return messages.message(b"D", f"S{name}\0".encode())


EXECUTE = messages.message(b"E", b"\0" + bytes(4))


def add(requests: Requests, *sent: bytes) -> Request:
    *first, last = [requests.add(each) for each in sent]
    assert first == [None] * len(first)
    assert last is not None
    return last


def test_a_simple_query() -> None:
    request = add(Requests(), messages.query("insert into t values (1)"))
    assert request.is_simple
    assert request.sql == "insert into t values (1)"
    assert request.tag is None


def test_a_prepared_statement_that_the_session_does_not_know_is_prepared_first() -> None:
    requests = Requests()
    prepare = add(requests, parse("s1", "select 1"), describe("s1"), FLUSH)
    assert (prepare.sql, prepare.parsed, prepare.flushed) == ("", "select 1", True)
    known: set[bytes] = set()
    assert requests.translated(prepare, known) == (
        parse("s1", "select 1") + describe("s1") + SYNC,
        0,
    )
    run = add(requests, bind("s1"), EXECUTE, SYNC)
    assert run.sql == "select 1"
    assert requests.translated(run, known) == (bind("s1") + EXECUTE + SYNC, 0)
    other: set[bytes] = set()
    translated, added = requests.translated(run, other)
    assert translated == parse("s1", "select 1") + bind("s1") + EXECUTE + SYNC
    assert added == 1
    assert other == {b"s1"}


def test_unnamed_statements_of_two_connections_do_not_meet() -> None:
    one, other = Requests(), Requests()
    known: set[bytes] = set()
    for requests in (one, other):
        requests.translated(add(requests, parse("", "select 1"), describe(""), FLUSH), known)
    assert len(known) == 2
    assert b"" not in known
    again, added = one.translated(add(one, parse("", "select 2"), describe(""), FLUSH), known)
    assert again.startswith(b"C")
    assert added == 0


def test_control_that_is_prepared_needs_no_server() -> None:
    requests = Requests()
    request = add(requests, parse("s1", "COMMIT"), describe("s1"), FLUSH)
    answer = request.answer_to_preparing
    assert answer is not None
    assert [each[:1] for each in messages.cut(bytearray(answer))] == [b"1", b"t", b"n"]
    assert add(requests, bind("s1"), EXECUTE, SYNC).tag == "COMMIT"


def test_a_pools_reset_is_answered() -> None:
    reset = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"
    assert add(Requests(), messages.query(reset)).answer_to_resetting is not None
    assert add(Requests(), messages.query("select 1")).answer_to_resetting is None


def heard(exchange: Exchange, *answers: bytes) -> bytes:
    return b"".join([exchange.hear(each) for each in answers])


def test_the_answers_to_own_statements_are_kept_back() -> None:
    request = add(Requests(), messages.query("select 1"))
    exchange = Exchange(request, before=True, added=0, forwarded=True)
    row = messages.message(b"D", b"row")
    told = heard(exchange, messages.complete("SAVEPOINT"), messages.ready(b"T"), row)
    assert told == row
    assert not exchange.is_over
    assert heard(exchange, messages.complete("SELECT 1"), messages.ready(b"T")) == (
        messages.complete("SELECT 1")
    )
    assert exchange.is_over
    assert exchange.end(b"I") == IDLE


def test_control_is_answered_in_the_applications_words() -> None:
    request = add(Requests(), messages.query("BEGIN;"))
    exchange = Exchange(request, before=True, added=0, forwarded=False)
    assert heard(exchange, messages.complete("SAVEPOINT"), messages.ready(b"T")) == b""
    assert exchange.is_over
    assert exchange.end(b"T") == messages.complete("BEGIN") + messages.ready(b"T")


def test_control_that_fails_is_the_servers_error() -> None:
    request = add(Requests(), messages.query("RELEASE SAVEPOINT nowhere"))
    exchange = Exchange(request, before=True, added=0, forwarded=False)
    error = messages.error("3B001", "savepoint does not exist")
    assert heard(exchange, error, messages.ready(b"E")) == error
    assert exchange.end(b"E") == messages.ready(b"E")


def test_preparing_is_not_followed_by_ready() -> None:
    requests = Requests()
    request = add(requests, parse("s1", "select 1"), describe("s1"), FLUSH)
    exchange = Exchange(request, before=False, added=0, forwarded=True)
    assert heard(exchange, PARSED, messages.ready(b"T")) == PARSED
    assert exchange.end(b"I") == b""


def test_what_was_prepared_once_more_is_not_told() -> None:
    requests = Requests()
    add(requests, parse("s1", "select 1"), describe("s1"), FLUSH)
    exchange = Exchange(
        add(requests, bind("s1"), EXECUTE, SYNC), before=False, added=1, forwarded=True
    )
    assert heard(exchange, PARSED, BOUND) == BOUND
