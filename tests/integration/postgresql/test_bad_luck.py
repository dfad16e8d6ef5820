"""What sessions leave behind, lost connections, a server that dies."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from pytest_slipstream.databases.engines import load
from pytest_slipstream.databases.engines.protocol import Owner
from pytest_slipstream.settings import DatabaseSettings
from trial_slots import Make, TrialSlot, trial_slots

SCHEMA = "create table t (id serial primary key, v text); insert into t (v) values ('seed');"


def _kinds(trial: TrialSlot) -> list[str]:
    return [leftover.kind for leftover in trial.reset().leftovers]


def test_a_transaction_left_open_is_ended_and_told(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    left = trial.connect()
    left.execute("set application_name = 'the app'")
    left.execute("update t set v = 'uncommitted'")
    (leftover,) = trial.reset().leftovers
    assert leftover.kind == "transaction"
    assert "the app" in leftover.detail
    assert "update t set v" in leftover.detail
    with pytest.raises(psycopg.OperationalError):
        left.execute("select 1")


def test_an_idle_connection_is_left_alone(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    pooled = trial.connect()
    pooled.execute("insert into t (v) values ('x')")
    pooled.commit()
    assert _kinds(trial) == []
    assert pooled.execute("select count(*) from t").fetchone() == (1,)
    pooled.close()


def test_the_transaction_of_a_wider_fixture_is_left_alone(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    wider = trial.connect()
    wider.execute("select * from t")
    assert trial.slot.push_layer() == ()
    trial.commit("insert into t (v) values ('test')")
    assert _kinds(trial) == []
    wider.execute("select 1")
    wider.close()


def test_a_wider_transaction_that_blocks_is_ended(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    wider = trial.connect()
    wider.execute("update t set v = 'locked'")
    assert trial.slot.push_layer() == ()
    trial.commit("insert into t (v) values ('test')")
    assert _kinds(trial) == ["transaction"]


def test_an_advisory_lock_is_released(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    wider = trial.connect()
    wider.autocommit = True
    wider.execute("select pg_advisory_lock(1)")
    assert trial.slot.push_layer() == ()
    left = trial.connect()
    left.autocommit = True
    left.execute("select pg_advisory_lock(2)")
    assert _kinds(trial) == ["advisory lock"]
    wider.execute("select pg_advisory_unlock(1)")
    wider.close()


def test_a_temporary_table_of_a_pooled_connection_goes(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    left = trial.connect()
    left.execute("create temporary table scratch (a int)")
    left.commit()
    dropped = trial.connect()
    dropped.execute("create temporary table gone (a int) on commit drop")
    dropped.commit()
    assert _kinds(trial) == ["temporary table"]
    dropped.execute("select 1")
    dropped.close()


def test_slipstreams_own_connection_was_ended(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    trial.commit(
        "insert into t (v) values ('x')",
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where pid <> pg_backend_pid() and datname = current_database()",
    )
    assert "lost" in (trial.escalate().cannot or "")
    trial.commit("insert into t (v) values ('y')")
    trial.reset()


@pytest.fixture
def killable(
    short_path: Path, require_servers: None, owner: Owner, slot_names: Iterator[str]
) -> Generator[Make, None, None]:
    """`try_schema` on a server that no other test uses."""
    engine = load("pg", DatabaseSettings(engine="postgresql"), cache_dir=short_path, owner=owner)
    engine.open(lambda message: None)
    with trial_slots(engine, slot_names, psycopg.Error) as make:
        yield make
    engine.close()


def test_a_killed_server_is_started_again_and_layers_come_back(killable: Make) -> None:
    trial = killable(SCHEMA + "create unlogged table u (a int); insert into u values (7);")
    trial.commit("insert into t (v) values ('layer')", "delete from u", "insert into u values (8)")
    trial.slot.push_layer()
    trial.before = trial.slot.digest()
    with trial.connect() as connection:
        (row,) = connection.execute("select pg_read_file('postmaster.pid')").fetchall()
    postmaster = psutil.Process(int(str(row[0]).splitlines()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
    assert "lost" in (trial.escalate().cannot or "")
    trial.commit("insert into t (v) values ('x')")
    trial.reset()


def test_a_kept_database_stays_as_it_was(try_schema: Make) -> None:
    trial = try_schema(SCHEMA)
    trial.commit("insert into t (v) values ('evidence')")
    seen = trial.slot.digest()
    address = trial.slot.keep(f"slipstream_k_pg_{os.getpid()}")
    assert trial.differences() == set()
    with trial.engine.connect(address) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (2,)
    assert seen != trial.before
    with trial.engine.connect(trial.engine.address("postgres")) as connection:
        connection.autocommit = True
        connection.execute(f"drop database {address.database}")
