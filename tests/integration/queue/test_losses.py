"""Machines that are killed, stopped or cut off; servers that are restarted or gone.

Each test ends with every machine's exit status and with what the merged build says.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from machines import Machine, Trial
from networks import Network, namespace, relayed
from redis_server import RedisServer
from waiting import until

LEASE = ("--slipstream-lease", "6")
WORKERS = ("--workers", "2")


def all_reported(machines: list[Machine]) -> Counter[str]:
    return sum((machine.reported() for machine in machines), Counter[str]())


@pytest.fixture
def network(trial: Trial, tmp_path: Path) -> Generator[Network, None, None]:
    """A network of one machine's own, and a server that listens there, too."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(namespace())
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"there are no network namespaces, and a relay is cut instead: {error}")
            yield stack.enter_context(relayed(urlsplit(trial.url).port or 0))
            return
        server = RedisServer(tmp_path, "--bind", "127.0.0.1", made.host, "--protected-mode", "no")
        server.start()
        stack.callback(server.stop)
        trial.url = server.url
        yield made


def test_killed_stopped_and_cut_off_machines_lose_nothing(trial: Trial, network: Network) -> None:
    gates = "abcdefgh"
    count = trial.write_gated(*gates)
    options = (*LEASE, *WORKERS)
    machines = [trial.start(name, *options) for name in ("killed", "stopped", "well")]
    machines.append(trial.start("cut", *options, network=network))
    killed, stopped, _, cut = machines
    # Each worker is in a gate, in mid-test.
    held = trial.at_gates(*gates)
    assert {name: len(those) for name, those in held.items()} == dict.fromkeys(held, 2)
    killed.kill()
    stopped.stop()
    network.cut()
    # One worker of the machine that is well runs what the three others had; its other one, which
    # stays in its gate, keeps the build from its end.
    trial.open(held["well"][0])
    lost = [gate for name in ("killed", "stopped", "cut") for gate in held[name]]
    for gate in lost:
        until(
            lambda gate=gate: trial.ran()[f"test_{gate}.py::test_gate"] == 2,
            f"the gate {gate} is passed by another machine",
        )
    trial.until("well", lambda machine: machine.held == 1)
    stopped.resume()
    network.rejoin()
    for machine in (stopped, cut):
        trial.until(machine.name, lambda seen: seen.silent_s < 2)
    trial.open(*gates)
    assert [machine.wait() for machine in machines] == [-signal.SIGKILL, 0, 0, 0]
    reported = all_reported(machines)
    assert len(reported) == count
    assert set(reported.values()) == {1}
    for machine in (stopped, cut):
        assert "ran here too late" in machine.output, machine.output
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert "machine killed was lost, and did not end" in merged.stdout
    assert f"{count} tests, 0 failed" in merged.stdout


def test_what_a_lost_machine_s_workers_reported_is_taken_over(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    trial.open("b")
    killed = trial.start("1", *WORKERS, "--slipstream-lease", "3")
    trial.at_gate("a")
    trial.until("1", lambda machine: machine.tests >= 9)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    trial.open("a")
    other = trial.start("2", *WORKERS, "-v")
    assert other.wait() == 0, other.output
    assert "tests that the lost machine 1 ran are reported here" in other.output
    assert other.reported().total() == count
    assert trial.merge().returncode == 0


def test_a_machine_that_comes_back_after_the_end_does_not_count(trial: Trial) -> None:
    count = trial.write_gated("a", "b")
    machines = [trial.start(name, *LEASE, *WORKERS) for name in ("1", "2")]
    stopped = trial.at_gate("a")
    stopped.stop()
    trial.open("b")
    others = [machine for machine in machines if machine is not stopped]
    assert [machine.wait() for machine in others] == [0]
    assert all_reported(others).total() == count
    trial.open("a")
    stopped.resume()
    assert stopped.wait() == 2
    assert "this run does not count" in stopped.output
    merged = trial.merge()
    assert merged.returncode == 0, merged.stdout
    assert f"{count} tests, 0 failed" in merged.stdout


def test_a_server_restarted_with_its_data_is_waited_for(trial: Trial, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    try:
        trial.url = server.url
        count = trial.write_gated("a")
        machine = trial.start("1", *WORKERS)
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
    machine = trial.start("1", *WORKERS)
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
    machine = trial.start("1", *WORKERS, "--slipstream-lease", "2")
    trial.at_gate("a")
    redis_server.stop()
    trial.open("a")
    assert machine.wait() == 2
    assert "does not answer any more" in machine.output
    assert trial.merge().returncode == 2


def test_a_server_that_goes_while_tests_are_collected_ends_the_run(trial: Trial) -> None:
    trial.write(
        "test_it.py",
        f"""
        import redis

        redis.Redis.from_url({trial.url!r}).shutdown(nosave=True)

        def test_it(): pass
        """,
    )
    machine = trial.start("1", "--slipstream-lease", "2")
    assert machine.wait() == 2
    assert "does not answer any more" in machine.output
    assert "INTERNALERROR" not in machine.output
    assert trial.merge().returncode == 2
