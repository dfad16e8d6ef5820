"""One TLS context for all connections of PyMySQL that verify nothing."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pymysql
import pytest
from pymysql import connections

from pytest_slipstream import events
from pytest_slipstream.databases.memoising.ledger import Ledger
from pytest_slipstream.databases.memoising.tls_contexts import OPERATION, TlsContexts


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    contexts = TlsContexts(connections, ledger)
    contexts.put_up()
    yield ledger
    contexts.take_down()


def context_of(**options: object) -> ssl.SSLContext:
    """What a connection, which is not opened, would use."""
    connection = pymysql.Connection(defer_connect=True, **options)
    context: ssl.SSLContext = connection.ctx
    return context


def test_a_context_is_made_once_and_counted(ledger: Ledger) -> None:
    first = context_of()
    assert first.verify_mode is ssl.CERT_NONE
    assert context_of() is first
    told: list[events.Event] = []
    ledger.report(told.append)
    assert [
        (event.operation, event.times)
        for event in told
        if isinstance(event, events.OperationMemoised)
    ] == [(OPERATION, 1)]


def test_a_connection_that_says_something_about_tls_has_its_own(ledger: Ledger) -> None:
    shared = context_of()
    asked = context_of(ssl_verify_cert=True)
    assert asked is not shared
    assert asked is not context_of(ssl_verify_cert=True)


def test_a_log_of_keys_is_written_where_it_is_asked_for_now(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    before = context_of()
    monkeypatch.setenv("SSLKEYLOGFILE", f"{tmp_path}/keys")
    assert before.keylog_filename is None
    assert context_of().keylog_filename == f"{tmp_path}/keys"


def test_who_makes_contexts_otherwise_is_heard(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = context_of()
    own = ssl.create_default_context()
    monkeypatch.setattr(ssl, "create_default_context", lambda **options: own)
    assert context_of() is own
    assert before is not own


def test_afterwards_pymysql_is_as_it_was() -> None:
    original = vars(connections.Connection)["_create_ssl_ctx"]
    contexts = TlsContexts(connections, Ledger())
    contexts.put_up()
    assert vars(connections.Connection)["_create_ssl_ctx"] is not original
    contexts.take_down()
    assert vars(connections.Connection)["_create_ssl_ctx"] is original
