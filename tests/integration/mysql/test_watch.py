"""What a slot's counters and files say after slipstream's own statements."""

from __future__ import annotations

import os

import pytest

from pytest_slipstream.databases.servers.mysql_binaries import find_binaries

PLAIN = "CREATE TABLE people (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20));"
ENCODED = "CREATE TABLE `pe-ople` (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20));"
PARTITIONED = PLAIN[:-1] + " PARTITION BY HASH (id) PARTITIONS 3;"


@pytest.fixture(autouse=True)
def alone(require_mysql: None) -> None:
    """MySQL counts what the tests of other workers define, too."""
    if find_binaries(os.environ).flavour == "mysql" and "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("other workers use this server")


@pytest.mark.parametrize(
    ("script", "table"),
    [(PLAIN, "people"), (ENCODED, "pe-ople"), (PARTITIONED, "people")],
    ids=["plain", "encoded name", "partitioned"],
)
def test_definitions_are_not_read_again_for_numbers_that_were_put_back(trial, script, table):
    people = trial(script)
    people.commit(f"INSERT INTO `{table}` (name) VALUES ('ann')")
    session = people.slot._session
    read = "SHOW SESSION STATUS LIKE 'Com_show_create_table'"
    before = session.rows(read)
    assert people.slot.clean().tables == (f"main.{table}",)
    people.slot.clean()
    assert session.rows(read) == before
    assert people.differences() == set()


def test_what_others_define_while_numbers_are_put_back_is_noticed(trial):
    people = trial(PLAIN + "CREATE TABLE other (id int PRIMARY KEY);")
    watch = people.slot._watch
    before = watch.signature()
    people.commit("ALTER TABLE people AUTO_INCREMENT = 50")
    assert watch.signature_after(before, {"people"}) == watch.signature()
    people.commit("ALTER TABLE other ADD COLUMN n int")
    assert watch.signature_after(before, {"people"}) != watch.signature()
    people.commit("DROP TABLE people")
    assert watch.signature_after(before, {"people"}) != watch.signature()
