"""What dead processes left is removed by whoever opens the engine next; nothing else is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO

import msgspec
import pytest
from tests.contract.conftest import Client, Product, execute, quiet

from pytest_slipstream.databases.engines.protocol import Address, Engine, Slot

OTHER_PROCESS = Path(__file__).with_name("other_process.py")


@pytest.fixture
def other(
    product: Product, template: str, process_arguments: list[str]
) -> Generator[subprocess.Popen[bytes], None, None]:
    """A process of another run with a slot of its own, in mid-transaction."""
    if product.settings.memory:
        pytest.skip("a database in memory ends with its process")
    process = subprocess.Popen(
        [sys.executable, str(OTHER_PROCESS), *process_arguments, template, "slot"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


def slot_of(process: subprocess.Popen[bytes]) -> Address:
    output: IO[bytes] | None = process.stdout
    assert output is not None
    return msgspec.json.decode(output.readline(), type=Address)


def sweep(product: Product, cache_dir: Path) -> None:
    """Do what the next run does first."""
    engine = product.load_other(cache_dir)
    engine.open(quiet)
    engine.close()


def can_connect(product: Product, engine: Engine, address: Address) -> bool:
    if address.path and not Path(address.path).exists():
        return False
    try:
        connection = engine.connect(address)
    except product.errors:
        return False
    execute(connection, "SELECT 1 FROM roles")
    connection.close()
    return True


def test_a_killed_process_leaves_nothing_for_long(
    product: Product, engine: Engine, shared_cache_dir: Path, other: subprocess.Popen[bytes]
) -> None:
    address = slot_of(other)
    assert can_connect(product, engine, address)
    other.kill()
    other.wait()
    sweep(product, shared_cache_dir)
    assert not can_connect(product, engine, address)


def test_a_living_process_keeps_its_slot(
    product: Product, engine: Engine, shared_cache_dir: Path, other: subprocess.Popen[bytes]
) -> None:
    address = slot_of(other)
    sweep(product, shared_cache_dir)
    assert can_connect(product, engine, address)


def test_the_template_of_a_living_process_is_not_dropped(
    engine: Engine, template: str, other: subprocess.Popen[bytes]
) -> None:
    slot_of(other)
    assert not engine.drop_template(template)
    assert engine.has_template(template)


def test_slots_of_this_process_survive_a_sweep(
    product: Product, shared_cache_dir: Path, slot: Slot, client: Client
) -> None:
    client.commit("DELETE FROM pairs")
    sweep(product, shared_cache_dir)
    assert client.count("pairs") == 0
    assert slot.clean().cannot is None
    assert client.count("pairs") == 2
