"""What a test leaves open is ended and told, never waited for, and never lands in the next test."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from tests.contract.conftest import Client, Product, execute

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Slot

OTHER_PROCESS = Path(__file__).with_name("other_process.py")
LONGEST_S = 30.0
"""Below any server's own lock timeout, and far above what a loaded machine adds."""


@pytest.fixture
def make_clean_soon(slot: Slot) -> Callable[[], Cleaning]:
    """Clean the slot, by whatever way, and see that it was not waited for."""

    def run() -> Cleaning:
        start = time.perf_counter()
        cleaning = slot.clean()
        if cleaning.cannot is not None:
            slot.replace()
        assert time.perf_counter() - start < LONGEST_S
        return cleaning

    return run


@pytest.fixture
def leftover_process(
    product: Product, slot: Slot, template: str, process_arguments: list[str]
) -> Generator[None, None, None]:
    """Another process in the middle of a transaction on the slot."""
    if product.settings.memory:
        pytest.skip("a database in memory belongs to one process")
    address = msgspec.json.encode(slot.address).decode()
    process = subprocess.Popen(
        [sys.executable, str(OTHER_PROCESS), *process_arguments, template, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    is_open = process.stdout.readline() != b""
    if is_open:
        yield
    process.kill()
    process.communicate()
    assert is_open


def test_an_open_transaction_is_rolled_back(
    slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = slot.digest()
    connection = client.connect()
    execute(connection, "INSERT INTO roles (name) VALUES ('never committed')")
    cleaning = make_clean_soon()
    assert [leftover.kind for leftover in cleaning.leftovers] == ["transaction"]
    assert slot.digest() == before
    client.commit("UPDATE users SET score = 1")
    assert client.count("roles") == 3


def test_an_open_transaction_beside_committed_rows(
    slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = slot.digest()
    client.commit("DELETE FROM users WHERE name = 'ann'")
    connection = client.connect()
    execute(connection, "INSERT INTO roles (name) VALUES ('never committed')")
    assert make_clean_soon().leftovers
    assert slot.digest() == before


def test_an_open_transaction_cannot_commit_into_the_next_test(
    product: Product, slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = slot.digest()
    connection = client.connect()
    execute(connection, "UPDATE users SET score = 55")
    make_clean_soon()
    with suppress(product.errors):  # PostgreSQL has closed it
        connection.commit()
    assert slot.digest() == before


def test_a_half_read_cursor_is_closed(
    slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = slot.digest()
    connection = client.connect()
    execute(connection, "DELETE FROM pairs")
    connection.commit()
    cursor = execute(connection, "SELECT a.id FROM users AS a, users AS b, users AS c")
    assert cursor.fetchone() is not None
    cleaning = make_clean_soon()
    assert cleaning.leftovers
    assert slot.digest() == before


def test_a_connection_closed_with_a_half_read_cursor(
    slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = slot.digest()
    connection = client.connect()
    execute(connection, "INSERT INTO roles (name) VALUES ('never committed')")
    cursor = execute(connection, "SELECT a.id FROM users AS a, users AS b, users AS c")
    assert cursor.fetchone() is not None
    connection.close()
    assert make_clean_soon().cannot is None
    assert slot.digest() == before
    client.commit("UPDATE users SET score = 1")


def test_a_transaction_that_another_thread_left_open(
    slot: Slot, client: Client, product: Product, engine: Engine
) -> None:
    if not product.survives_hidden_locks:
        pytest.skip("test_sqlite.py has what a database in memory does")
    before = slot.digest()
    opened = threading.Event()
    done = threading.Event()

    def leave_open() -> None:
        connection = client.connect()
        execute(connection, "INSERT INTO roles (name) VALUES ('in a thread')")
        opened.set()
        done.wait(60)
        connection.close()

    thread = threading.Thread(target=leave_open)
    thread.start()
    assert opened.wait(30)
    start = time.perf_counter()
    cleaning = slot.clean()
    if cleaning.cannot is not None:
        slot.replace()
    seconds = time.perf_counter() - start
    client.commit("UPDATE users SET score = 2")
    slot.clean()
    found = slot.digest()
    done.set()
    thread.join()
    assert cleaning.leftovers or cleaning.cannot
    assert seconds < LONGEST_S
    assert found == before


@pytest.mark.usefixtures("leftover_process")
def test_a_transaction_that_another_process_left_open(
    slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = client.rows("SELECT name FROM roles ORDER BY id")
    cleaning = make_clean_soon()
    assert cleaning.leftovers or cleaning.cannot
    assert client.rows("SELECT name FROM roles ORDER BY id") == before
    client.commit("INSERT INTO roles (name) VALUES ('the next test')")
    assert slot.clean().cannot is None


@pytest.mark.usefixtures("leftover_process")
def test_a_slot_is_kept_beside_a_process_that_writes(
    engine: Engine, slot: Slot, client: Client
) -> None:
    kept = slot.keep(naming.kept_name("main", slot.name, 1))
    connection = engine.connect(kept)
    found = execute(connection, "SELECT count(*) FROM roles").fetchall()
    connection.close()
    assert list(found) == [(3,)]
    assert client.count("roles") == 3


def test_replace_goes_through_beside_open_transactions(
    slot: Slot, client: Client, make_clean_soon: Callable[[], Cleaning]
) -> None:
    before = slot.digest()
    connection = client.connect()
    execute(connection, "DELETE FROM pairs")
    start = time.perf_counter()
    slot.replace()
    assert time.perf_counter() - start < LONGEST_S
    assert slot.digest() == before


def test_connections_to_other_slots_are_left_alone(
    engine: Engine, template: str, slot: Slot, client: Client, slot_names: Iterator[str]
) -> None:
    other = engine.create_slot(next(slot_names), template)
    connection = engine.connect(other.address)
    execute(connection, "INSERT INTO roles (name) VALUES ('still open')")
    mine = client.connect()
    execute(mine, "DELETE FROM pairs")
    assert slot.clean().leftovers
    connection.commit()
    connection.close()
    assert Client(engine, other).count("roles") == 4
    other.close()
