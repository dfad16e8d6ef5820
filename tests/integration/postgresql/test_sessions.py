"""Slipstream's own sessions, by the server's libpq and by psycopg's: the same either way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_slipstream.databases.engines.postgresql.engine import PostgresqlEngine
from pytest_slipstream.databases.engines.postgresql.sessions import (
    INSUFFICIENT_PRIVILEGE,
    Session,
    SessionError,
    Sessions,
    identifier,
    literal,
)
from pytest_slipstream.databases.engines.protocol import Address, Engine

_PATIENCE_S = 60


@pytest.fixture(params=["libpq", "psycopg"])
def sessions(request: pytest.FixtureRequest, engine: Engine) -> Sessions:
    assert isinstance(engine, PostgresqlEngine)
    library = engine._server.client_library
    if request.param == "psycopg":
        return Sessions(None)
    if library is None:
        pytest.skip("these programs of PostgreSQL have no libpq beside them")
    return Sessions(library)


@pytest.fixture
def address(engine: Engine) -> Address:
    return engine.address("postgres")


@pytest.fixture
def session(sessions: Sessions, address: Address) -> Generator[Session, None, None]:
    opened = sessions.administer(address)
    yield opened
    opened.close()


@pytest.fixture
def other(sessions: Sessions, address: Address) -> Generator[Session, None, None]:
    opened = sessions.administer(address)
    yield opened
    opened.close()


def test_values_go_there_and_come_back(session: Session) -> None:
    given = "it's a \\ and a snow\u2603man"
    rows = session.execute(
        "SELECT 1, true, false, NULL, 2::bigint, 'x'::text, '{\"a\": [1]}'::jsonb, $1, $2::int, "
        "$3::text",
        given,
        -3,
        None,
    )
    assert rows == [(1, True, False, None, 2, "x", {"a": [1]}, given, -3, None)]
    assert session.execute("SELECT generate_series(1, 3)") == [(1,), (2,), (3,)]
    assert session.execute("SET lock_timeout = 0") == []


def test_what_is_quoted_is_read_as_it_was(session: Session) -> None:
    odd = 'a "name", it\'s \\ odd'
    assert session.execute(f"SELECT {literal(odd)} AS {identifier(odd)}") == [(odd,)]


def test_an_error_has_its_state_and_the_session_goes_on(session: Session) -> None:
    with pytest.raises(SessionError, match="division by zero") as caught:
        session.execute("SELECT $1::int / 0", 1)
    assert caught.value.sqlstate == "22012"
    with pytest.raises(SessionError, match=r"no\nHINT:  ask") as caught:
        session.execute(
            "DO $$ BEGIN RAISE insufficient_privilege USING message = 'no', hint = 'ask'; END $$"
        )
    assert caught.value.sqlstate == INSUFFICIENT_PRIVILEGE
    assert session.execute("SELECT 1") == [(1,)]


def test_statements_that_are_sent_together_are_one_transaction(session: Session) -> None:
    with pytest.raises(SessionError, match="division by zero"):
        session.execute(b"CREATE TEMP TABLE together (); SELECT 1 / 0; SELECT 1")
    assert session.execute("SELECT to_regclass('pg_temp.together')") == [(None,)]


def test_what_is_prepared_is_executed(session: Session) -> None:
    session.execute("PREPARE halved AS SELECT $1::int / $2::int")
    assert session.execute_prepared(b"halved", [b"8", b"2"]) == b"4"
    with pytest.raises(SessionError, match="division by zero"):
        session.execute_prepared(b"halved", [b"8", b"0"])
    assert session.execute_prepared(b"halved", [b"6", b"2"]) == b"3"


def test_a_lost_connection_is_known(
    session: Session, other: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    ((pid,),) = session.execute("SELECT pg_backend_pid()")
    assert other.execute("SELECT pg_terminate_backend($1, 60000)", pid) == [(True,)]
    with pytest.raises(SessionError):
        session.execute("SELECT 1")
    assert session.lost
    with pytest.raises(SessionError):
        session.execute("SELECT 1")
    assert capfd.readouterr().err == ""


def test_who_is_not_let_in_is_told_why(sessions: Sessions, engine: Engine) -> None:
    name = "it's \\ not there"
    with pytest.raises(SessionError, match="does not exist") as caught:
        sessions.administer(engine.address(name))
    assert name in str(caught.value)


def test_remarks_of_the_server_are_not_printed(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    session.execute("DO $$ BEGIN RAISE WARNING 'a remark'; END $$")
    assert capfd.readouterr() == ("", "")


def ring(number: int, frame: object) -> None:
    """What a handler of SIGALRM may do."""
    raise TimeoutError("the time is up")


@pytest.mark.parametrize(
    ("number", "handler", "raised"),
    [
        (signal.SIGINT, signal.default_int_handler, KeyboardInterrupt),
        (signal.SIGALRM, ring, SessionError),
    ],
    ids=["ctrl-c", "alarm"],
)
def test_a_signal_ends_the_statement_and_not_the_session(
    session: Session,
    other: Session,
    number: signal.Signals,
    handler: Callable[[int, Any], Any],
    raised: type[BaseException],
) -> None:
    ((pid,),) = session.execute("SELECT pg_backend_pid()")

    def interrupt() -> None:
        for _ in _until(time.monotonic() + _PATIENCE_S):
            active = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
            if other.execute(active, pid):
                break
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    before = signal.signal(number, handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(raised):
            session.execute("SELECT pg_sleep($1)", _PATIENCE_S)
    finally:
        thread.join()
        signal.signal(number, before)
    assert session.execute("SELECT 1") == [(1,)]


def _until(deadline: float) -> Iterator[None]:
    while time.monotonic() < deadline:
        yield
    pytest.fail("the statement did not begin")


def test_a_library_that_cannot_be_loaded_is_done_without(tmp_path: Path, address: Address) -> None:
    made_for_another_system = tmp_path / "libpq.so.5"
    made_for_another_system.write_bytes(b"?")
    session = Sessions(made_for_another_system).administer(address)
    assert session.execute("SELECT 1") == [(1,)]
    session.close()
