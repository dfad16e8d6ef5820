"""A server beside other servers of the machine."""

from __future__ import annotations

from pathlib import Path

from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Owner
from pytest_slipstream.settings import DatabaseSettings
from trial_slots import Make


def test_another_server_that_starts_leaves_temporary_tables_alone(
    trial: Make, short_path: Path, require_mariadb: None
) -> None:
    """A server that starts removes what it takes for its own leftovers of an earlier life."""
    connection = trial("CREATE TABLE t (a int);").connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE kept (a text) ENGINE = Aria")
    owner = Owner(testrun_uid="neighbour", worker="main")
    neighbour = load("main", DatabaseSettings(engine="mysql"), cache_dir=short_path, owner=owner)
    neighbour.open(lambda message: None)
    try:
        # ALTER makes the table's files anew, and removes the old ones.
        cursor.execute("ALTER TABLE kept ADD COLUMN b int")
        cursor.execute("DROP TEMPORARY TABLE kept")
    finally:
        neighbour.close()
