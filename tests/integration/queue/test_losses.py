"""Machines that are killed, stopped or cut off; servers that are restarted or gone.

Each test ends with every machine's exit status and with what the merged build says.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from machines import Machine, Trial
from redis_server import RedisServer
from relay import Relay
from waiting import until

LEASE = ("--slipstream-lease", "6")


def all_reported(machines: list[Machine]) -> Counter[str]:
    return sum((machine.reported() for machine in machines), Counter[str]())


def test_a_killed_machine_s_tests_are_reported_by_others(trial: Trial) -> None:
    count = trial.write_gated("a", "b", "c", "d")
    machines = [trial.start(name, *LEASE) for name in ("1", "2", "3", "4")]
    killed = trial.at_gate("a")
    killed.send(signal.SIGKILL)
    trial.open("a", "b", "c", "d")
    statuses = {machine.name: machine.wait() for machine in machines}
    assert statuses.pop(killed.name) == -signal.SIGKILL
    assert set(statuses.values()) == {0}
    reported = all_reported(machines)
    assert len(reported) == count
    assert set(reported.values()) == {1}
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert f"machine {killed.name} was lost, and did not end" in merged.stdout
    assert f"{count} tests, 0 failed" in merged.stdout


def test_what_a_stopped_machine_acknowledges_late_is_dropped(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    machines = [trial.start("1", *LEASE)]
    stopped = trial.at_gate("a")
    machines.append(trial.start("2", *LEASE))
    holding = trial.at_gate("b")
    assert holding is not stopped
    stopped.send(signal.SIGSTOP)
    machines.append(trial.start("3", *LEASE))
    # Its atom is run by machine 3; the one in the other gate keeps the build from its end.
    until(lambda: trial.ran()["test_a.py::test_gate"] == 2, "the test runs on machine 3")
    trial.open("a")
    trial.until("3", lambda machine: machine.held == 0)
    stopped.send(signal.SIGCONT)
    trial.until(stopped.name, lambda machine: machine.silent_s < 2)
    trial.open("b")
    assert [machine.wait() for machine in machines] == [0, 0, 0]
    reported = all_reported(machines)
    assert len(reported) == count
    assert set(reported.values()) == {1}
    assert "ran here too late" in stopped.output
    assert trial.merge().returncode == 0


def test_a_machine_that_comes_back_after_the_end_does_not_count(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    machines = [trial.start(name, *LEASE) for name in ("1", "2")]
    stopped = trial.at_gate("a")
    stopped.send(signal.SIGSTOP)
    trial.open("b")
    others = [machine for machine in machines if machine is not stopped]
    assert [machine.wait() for machine in others] == [0]
    assert all_reported(others).total() == count
    trial.open("a")
    stopped.send(signal.SIGCONT)
    assert stopped.wait() == 2
    assert "this run does not count" in stopped.output
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout
    assert f"{count} tests, 0 failed" in merged.stdout


def test_a_machine_that_is_cut_off_for_a_while_goes_on(
    trial: Trial, redis_server: RedisServer
) -> None:
    count = trial.write_gated("a", "b")
    with Relay(redis_server.port) as relay:
        machines = [trial.start("1", "--slipstream-lease", "60")]
        direct, trial.url = trial.url, f"redis://127.0.0.1:{relay.port}"
        trial.at_gate("a")
        cut = trial.start("2", "--slipstream-lease", "60")
        machines.append(cut)
        assert trial.at_gate("b") is cut
        relay.cut()
        trial.open("a", "b")
        relay.rejoin()
        trial.url = direct
        assert [machine.wait() for machine in machines] == [0, 0], cut.output
    reported = all_reported(machines)
    assert len(reported) == count
    assert set(reported.values()) == {1}
    assert trial.merge().returncode == 0


def test_a_server_restarted_with_its_data_is_waited_for(trial: Trial, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    try:
        trial.url = server.url
        count = trial.write_gated("a")
        machine = trial.start("1")
        trial.at_gate("a")
        server.stop()
        trial.open("a")
        server.start()
        assert machine.wait() == 0, machine.output
        assert machine.reported().total() == count
        assert trial.merge().returncode == 0
    finally:
        server.stop()


def test_a_server_restarted_without_its_data_ends_the_build(
    trial: Trial, redis_server: RedisServer
) -> None:
    trial.write_gated("a")
    machine = trial.start("1")
    trial.at_gate("a")
    redis_server.stop()
    redis_server.start()
    trial.open("a")
    assert machine.wait() == 2
    assert "is not in the queue" in machine.output
    assert "appendonly yes" in machine.output
    merged = trial.merge()
    assert merged.returncode == 2
    assert "reported by no machine" in merged.stdout


def test_a_server_that_is_gone_ends_the_build(trial: Trial, redis_server: RedisServer) -> None:
    trial.write_gated("a")
    machine = trial.start("1")
    trial.at_gate("a")
    redis_server.stop()
    trial.open("a")
    assert machine.wait() == 2
    assert "does not answer any more" in machine.output
    assert trial.merge().returncode == 2
