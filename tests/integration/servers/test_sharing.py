"""One server for many processes: who starts it, who stops it, and what a death leaves."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from pytest_slipstream.databases.servers import embedded
from pytest_slipstream.errors import ServerError

NO_RAM_DISK = Path("/nonexistent")


def only_entry(cache_dir: Path) -> embedded.ServerEntry:
    (entry,) = embedded.list_servers(cache_dir)
    return entry


def test_first_starts_second_joins_last_stops(users):
    first, second = users(), users()
    assert first.do("open")["started"]
    assert not second.do("open")["started"]
    entry = only_entry(users.cache_dir)
    assert sorted(entry.users) == sorted([first.process.pid, second.process.pid])
    assert entry.label.startswith("PostgreSQL ")
    first.do("close")
    assert second.do("sql select 41 + 1") == 42
    second.do("close")
    assert only_entry(users.cache_dir).pid is None
    assert only_entry(users.cache_dir).users == ()


def test_starter_exits_while_another_uses_it(users):
    starter, other = users(), users()
    starter.do("open")
    other.do("open")
    starter.end()
    assert other.do("sql select 1") == 1
    assert only_entry(users.cache_dir).users == (other.process.pid,)
    other.do("close")


def test_two_first_starts_make_one_cluster(users):
    both = [users(), users()]
    for user in both:
        user.send("open")
    answers = [user.answer() for user in both]
    assert sorted(answer["ok"]["started"] for answer in answers) == [False, True]
    said = [message for answer in answers for message in answer["said"]]
    assert sum("for the first time" in message for message in said) == 1
    for user in both:
        user.do("close")


def test_data_stays_between_runs(users):
    first = users()
    first.do("open")
    first.do("sql create database slipstream_t_kept")
    first.do("close")
    second = users()
    assert second.do("open")["started"]
    assert second.do("sql select count(*) from pg_database where datname = 'slipstream_t_kept'")
    second.do("close")


def test_killed_user_counts_no_more(users):
    killed, other = users(), users()
    killed.do("open")
    other.do("open")
    killed.kill()
    assert only_entry(users.cache_dir).users == (other.process.pid,)
    other.do("close")
    assert only_entry(users.cache_dir).pid is None


def test_server_of_killed_user_is_reused_then_stopped(users):
    killed = users()
    killed.do("open")
    killed.kill()
    assert only_entry(users.cache_dir).pid is not None
    later = users()
    assert not later.do("open")["started"]
    later.do("close")
    assert only_entry(users.cache_dir).pid is None


def test_prune_stops_orphan_and_spares_the_used(users):
    killed = users()
    killed.do("open")
    assert embedded.prune(users.cache_dir, ram_disk=NO_RAM_DISK) == []
    killed.kill()
    (sentence,) = embedded.prune(users.cache_dir, ram_disk=NO_RAM_DISK)
    assert sentence.startswith("stopped PostgreSQL")
    assert only_entry(users.cache_dir).pid is None


def test_killed_server_is_started_again_by_the_first_who_notices(users):
    first, second = users(), users()
    first.do("open")
    second.do("open")
    first.do("sql create table survivor as select 7 as n")
    first.do("sql checkpoint")
    pid = only_entry(users.cache_dir).pid
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    assert "error" in first.ask("sql select 1")
    assert first.do("restart")["started"]
    assert not second.do("restart")["started"]
    assert second.do("sql select n from survivor") == 7
    first.do("close")
    assert second.do("sql select 1") == 1
    second.do("close")
    assert only_entry(users.cache_dir).pid is None


def test_killed_server_next_run_starts_on_its_data(users):
    killed = users()
    killed.do("open")
    killed.do("sql create table survivor as select 7 as n")
    killed.do("sql checkpoint")
    pid = only_entry(users.cache_dir).pid
    killed.kill()
    os.kill(pid, signal.SIGKILL)
    later = users()
    assert later.do("open")["started"]
    assert later.do("sql select n from survivor") == 7
    later.do("close")


def test_server_that_recovers_from_the_death_of_a_backend_is_waited_for(users):
    user = users()
    user.do("open")
    pid = only_entry(users.cache_dir).pid
    for _ in range(5):
        child = psutil.Process(pid).children()[0]
        child.kill()
        # The server knows of it when it has reaped it.
        child.wait(10)
        assert not user.do("restart")["started"]
        assert user.do("sql select 1") == 1
    assert only_entry(users.cache_dir).pid == pid
    user.do("close")


def test_ctrl_c_in_the_starters_terminal_leaves_the_server_to_the_other(users):
    starter, other = users(), users()
    starter.do("open")
    other.do("open")
    os.killpg(starter.process.pid, signal.SIGINT)
    assert starter.process.wait(10) != 0
    assert other.do("sql select 1") == 1
    assert other.do("sql select pg_is_in_recovery()") is False
    other.do("close")


def test_stop_refuses_while_used_unless_forced(users):
    user = users()
    user.do("open")
    entry = only_entry(users.cache_dir)
    with pytest.raises(ServerError, match=f"in use by process {user.process.pid}.*--force"):
        try:
            embedded.stop_server(users.cache_dir, entry.name)
        except ServerError as error:
            raise ServerError(str(error).replace("\n", " ")) from None
    assert embedded.stop_server(users.cache_dir, entry.name, force=True)
    assert not embedded.stop_server(users.cache_dir, entry.name, force=True)
    assert only_entry(users.cache_dir).pid is None


def test_stop_of_unknown_server_names_the_known(users):
    user = users()
    user.do("open")
    with pytest.raises(ServerError, match=r"no embedded server 'nonsense'.*postgresql-"):
        embedded.stop_server(users.cache_dir, "nonsense")
    user.do("close")


def test_many_come_and_go_and_each_finds_it_running(users):
    everybody = [users() for _ in range(4)]
    for _ in range(12):
        for user in everybody:
            for command in ("open", "sql select 1", "close"):
                user.send(command)
        for user in everybody:
            answers = [user.answer() for _ in range(3)]
            assert [answer.get("error") for answer in answers] == [None, None, None]
            assert answers[1]["ok"] == 1
    entry = only_entry(users.cache_dir)
    assert (entry.pid, entry.users) == (None, ())
