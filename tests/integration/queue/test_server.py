"""The queue's steps on a real server, and servers that cannot be used."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import time_machine
import trustme

from machines import Trial
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.queue.build import Build, DiffersError
from pytest_slipstream.queue.connection import QueueLostError, QueueUnreachableError
from pytest_slipstream.queue.values import Adopted, Lease, Published
from redis_server import RedisServer, free_port

Connect = Callable[[str], Build]


@pytest.fixture
def connect(redis_server: RedisServer) -> Generator[Connect, None, None]:
    """Connects a machine; its name is its identity, too."""
    opened: list[Build] = []

    def connected(name: str) -> Build:
        opened.append(Build(redis_server.url, "b", name, f"id {name}", patience_s=0.5))
        return opened[-1]

    yield connected
    for build in opened:
        build.close()


def published(*atoms: tuple[int, ...], lease_ms: int = 60_000, requeues: int = 0) -> Published:
    return Published(
        atoms=atoms,
        digest="d",
        collected=b"what",
        lease_ms=lease_ms,
        requeues=requeues,
        requeue_cap=10,
    )


def taken(build: Build) -> Lease:
    lease = build.take()
    assert isinstance(lease, Lease)
    return lease


def test_the_first_machine_publishes(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    assert not one.exists()
    assert one.publish(published((0, 1), (2,)))
    assert not two.publish(published((2,)))
    assert one.join("d") == two.join("d") == []
    assert taken(one).tests == (0, 1)
    assert taken(two).tests == (2,)
    assert one.take() is False


def test_a_build_without_tests_is_over(connect: Connect) -> None:
    one = connect("1")
    one.publish(published())
    one.join("d")
    assert one.take() is True
    assert one.leave() is True


def test_other_tests_are_told_what_the_build_has(connect: Connect) -> None:
    one = connect("1")
    one.publish(published((0,)))
    with pytest.raises(DiffersError) as caught:
        one.join("other")
    assert caught.value.args == (b"what",)


def test_the_first_acknowledgement_counts_and_may_be_sent_twice(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0,), lease_ms=50))
    one.join("d")
    two.join("d")
    first = taken(one)
    time.sleep(0.1)  # longer than the lease: what is waited for is the passing of time
    second = taken(two)
    assert second.tests == first.tests
    for _ in range(2):
        assert two.acknowledge(second, b"", {}).first
        assert not one.acknowledge(first, b"", {}).first


@pytest.mark.parametrize("days", [-2, 2])
def test_a_machine_s_clock_that_jumps_changes_no_lease(connect: Connect, days: int) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0,)))
    one.join("d")
    two.join("d")
    lease = taken(one)
    with time_machine.travel(datetime.now(tz=timezone.utc) + timedelta(days=days)):
        one.beat([lease])
        assert two.take() is False
        assert one.acknowledge(lease, b"", {}).first
    assert two.take() is True  # the build is over


def test_a_lease_that_is_renewed_does_not_expire(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0,), lease_ms=400))
    one.join("d")
    two.join("d")
    lease = taken(one)
    beat = time.monotonic()
    end = beat + 1.2
    while beat < end:
        before, beat = beat, time.monotonic()
        one.beat([lease])
        # Unless this process was held up for the length of a lease, the atom is still held.
        assert two.take() is False or time.monotonic() - before > 0.4
        time.sleep(0.02)


def test_failed_tests_run_again_elsewhere_up_to_the_limit(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0, 1), requeues=1))
    one.join("d")
    two.join("d")
    lease = taken(one)
    for _ in range(2):
        assert one.acknowledge(lease, b"passed", {1: b"failed"}).again == {1}
    assert one.take() is False
    again = taken(two)
    assert (again.tests, again.failed_on) == ((1,), "1")
    assert two.acknowledge(again, b"", {1: b"failed"}).again == frozenset()
    assert one.take() is True


def test_without_another_machine_a_failed_test_runs_again_here(connect: Connect) -> None:
    one = connect("1")
    one.publish(published((0,), requeues=1))
    one.join("d")
    one.acknowledge(taken(one), b"", {0: b"failed"})
    again = taken(one)
    assert one.acknowledge(again, b"passed", {}).first
    status = one.status()
    assert status is not None
    assert (status.requeued, status.flaky, status.reported, status.failed) == (1, 1, 1, 0)


def test_the_last_machine_takes_over_what_a_lost_one_reported(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0,), (1,), lease_ms=300))
    one.join("d")
    two.join("d")
    one.acknowledge(taken(one), b"", {0: b"the failure"})
    two.acknowledge(taken(two), b"passed", {})
    time.sleep(0.4)  # longer than the lease
    found = two.leave()
    assert isinstance(found, Adopted)
    assert found.machine == "1"
    assert set(found.results) == {b"", b"the failure"}
    assert two.leave() is True
    with pytest.raises(QueueLostError, match="this run does not count"):
        one.release()


def test_one_machine_waits_for_those_that_leave(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0,)))
    one.join("d")
    two.join("d")
    one.acknowledge(taken(one), b"", {})
    assert one.leave() is False
    assert two.leave() is True
    assert one.leave() is False
    two.release()
    assert one.leave() is True


def test_released_atoms_are_there_at_once(connect: Connect) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0,)))
    one.join("d")
    two.join("d")
    lease = taken(one)
    one.release()
    assert taken(two).tests == lease.tests


def test_a_machine_that_comes_again_gets_what_it_ran(
    connect: Connect, redis_server: RedisServer
) -> None:
    one = connect("1")
    one.publish(published((0, 1), (2,)))
    one.join("d")
    one.acknowledge(taken(one), b"", {})
    one.release()
    again = Build(redis_server.url, "b", "1", "id 1 again")
    assert again.join("d") == [(0, 1)]
    assert taken(again).tests == (2,)
    again.close()


def test_a_machine_that_comes_again_leaves_out_what_ran_again_elsewhere(
    connect: Connect, redis_server: RedisServer
) -> None:
    one, two = connect("1"), connect("2")
    one.publish(published((0, 1), (2,), requeues=1))
    one.join("d")
    two.join("d")
    one.acknowledge(taken(one), b"", {1: b"failed"})
    one.acknowledge(taken(one), b"", {2: b"failed"})
    two.acknowledge(taken(two), b"", {})
    two.acknowledge(taken(two), b"", {})
    for build in (one, two):
        build.release()
    for name, ran in (("1", [(0,)]), ("2", [(1,), (2,)])):
        again = Build(redis_server.url, "b", name, f"id {name} again")
        assert again.join("d") == ran
        again.close()


def test_keys_expire(connect: Connect) -> None:
    one = connect("1")
    one.publish(published((0,)))
    one.join("d")
    one.beat([])
    for key in one._client.scan_iter("slipstream:*"):
        assert 0 < one._client.pttl(key) <= 24 * 3600 * 1000


def test_dropped_keys_end_the_build(connect: Connect) -> None:
    one = connect("1")
    one.publish(published((0,)))
    one.join("d")
    one._client.delete("slipstream:{b}:done")
    with pytest.raises(QueueLostError, match="is not in the queue") as caught:
        one.take()
    one._client.delete("slipstream:{b}:atoms")
    with pytest.raises(QueueLostError, match="is not in the queue"):
        one.status()
    assert "noeviction" in str(caught.value.hint)


def test_a_memory_limit_refuses_new_machines_and_lets_a_build_end(connect: Connect) -> None:
    one = connect("1")
    one.publish(published((0,)))
    one.join("d")
    one._client.config_set("maxmemory", "100kb")
    with pytest.raises(ConfigurationError, match="reached its memory limit") as caught:
        connect("2")
    assert "noeviction" in str(caught.value.hint)
    lease = taken(one)
    assert one.take() is False
    one.beat([lease])
    assert one.acknowledge(lease, b"", {0: b"failed"}).first
    assert one.take() is True
    assert one.leave() is True
    one.release()


@contextmanager
def running(directory: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(directory, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_a_wrong_password_is_refused_and_not_shown(require_redis: None, tmp_path: Path) -> None:
    with running(tmp_path, "--requirepass", "right") as server:
        wrong = server.url.replace("//", "//:wrong-one@")
        for url in (server.url, wrong):
            with pytest.raises(ConfigurationError, match="refused the password") as caught:
                Build(url, "b", "1", "1")
            assert "wrong-one" not in str(caught.value)
        right = Build(server.url.replace("//", "//:right@"), "b", "1", "1")
        assert "right" not in right.shown
        right.close()


@dataclass(frozen=True)
class Secure:
    """A server that speaks TLS at one of its ports, and the file of its certificate's authority."""

    port: int
    authority: Path


@pytest.fixture
def secure(require_redis: None, tmp_path: Path) -> Generator[Secure, None, None]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    options = {
        "tls-port": (port := free_port()),
        "tls-cert-file": tmp_path / "cert.pem",
        "tls-key-file": tmp_path / "key.pem",
        "tls-ca-cert-file": tmp_path / "ca.pem",
        "tls-auth-clients": "no",
        "requirepass": "hush-hush",
    }
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    with running(tmp_path, *given):
        yield Secure(port, tmp_path / "ca.pem")


def test_machines_pull_by_tls_and_nothing_shows_the_password(
    secure: Secure, tmp_path: Path
) -> None:
    url = f"rediss://:hush-hush@127.0.0.1:{secure.port}/0?ssl_ca_certs={secure.authority}"
    trial = Trial(tmp_path / "trial", "")
    count = trial.write_gated("a", "b")
    trial.open("a", "b")
    trial.write("test_bad.py", "def test_bad(): raise AssertionError")
    by_variable = url.replace("rediss://", "valkeys://default")
    try:
        machines = [
            trial.start("1", "--workers", "2", "--queue", url),
            trial.start("2", "--workers", "2", "-vv", SLIPSTREAM_QUEUE=by_variable),
        ]
        statuses = [machine.wait() for machine in machines]
        status = trial.slipstream("queue", "status", "b", "--queue", url)
        merged = trial.merge()
    finally:
        trial.close()
    assert sorted(statuses) == [0, 1], machines[0].output
    assert f"{count + 1} of {count + 1} tests reported, 1 failed" in status.stdout
    assert merged.returncode == 1
    left = [path for path in trial.directory.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in left), left
    said = [machine.output for machine in machines] + [status.stdout, merged.stdout]
    for text in [*said, *(path.read_text(errors="replace") for path in left)]:
        assert "hush" not in text


@pytest.mark.parametrize(
    ("host", "query"),
    [
        ("127.0.0.1", ""),
        ("localhost", "?ssl_ca_certs={}"),
        ("127.0.0.1", "?ssl_ca_certs={}.missing"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(secure: Secure, host: str, query: str) -> None:
    url = f"rediss://:hush-hush@{host}:{secure.port}/0{query.format(secure.authority)}"
    with pytest.raises(ConfigurationError, match="certificate do not go together") as caught:
        Build(url, "b", "1", "1")
    assert "?ssl_ca_certs=" in str(caught.value.hint)
    assert "hush" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("query", ["?speed=1", "?ssl_cert_reqs=perhaps"])
def test_parameters_that_there_are_not_are_refused(secure: Secure, query: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used: ") as caught:
        Build(f"rediss://:hush-hush@127.0.0.1:{secure.port}{query}", "b", "1", "1")
    assert "%2F" in str(caught.value.hint)


def test_too_few_rights_are_named(require_redis: None, tmp_path: Path) -> None:
    with running(tmp_path, *["--user", "ci", "on", "nopass", "~*", "+ping"]) as server:
        with pytest.raises(ConfigurationError, match="too few rights") as caught:
            Build(server.url.replace("//", "//ci:x@"), "b", "1", "1")
        assert "ACL SETUSER" in str(caught.value.hint)


def test_the_rights_of_the_hint_suffice(require_redis: None, tmp_path: Path) -> None:
    rights = "~slipstream:* +@stream +@hash +@list +@keyspace +@string +@scripting +time"
    with running(tmp_path, *f"--user ci on nopass {rights}".split()) as server:
        one = Build(server.url.replace("//", "//ci:x@"), "b", "1", "1")
        one.publish(published((0,)))
        one.join("d")
        one.beat([lease := taken(one)])
        assert one.acknowledge(lease, b"", {}).first
        assert one.leave() is True
        one.release()
        assert one.status() is not None
        one.close()


def test_a_server_without_streams_is_refused(require_redis: None, tmp_path: Path) -> None:
    with running(tmp_path, "--rename-command", "XGROUP", "") as server:
        with pytest.raises(ConfigurationError, match="cannot be used") as caught:
            Build(server.url, "b", "1", "1")
        assert "Redis 6.2 or Valkey" in str(caught.value.hint)


def test_what_is_no_redis_is_refused() -> None:
    def greet(connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"SSH-2.0-server\r\n")
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: greet(server.accept()[0]), daemon=True).start()
        with pytest.raises(ConfigurationError, match="is no Redis") as caught:
            Build(f"redis://127.0.0.1:{server.getsockname()[1]}", "b", "1", "1")
    assert "check host and port" in str(caught.value.hint)


@pytest.mark.parametrize(
    "url", ["redis://user:12/secret@127.0.0.1:1", "redis://user:pass@12/secret@127.0.0.1:1"]
)
def test_a_password_that_makes_the_host_unclear_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        Build(url, "b", "1", "1")
    assert not {"12", "secret"} & set(re.findall(r"\w+", caught.value.message))
    assert "%2F and %40" in str(caught.value.hint)


def test_nobody_at_the_url_is_no_wrong_configuration(require_redis: None) -> None:
    with pytest.raises(QueueUnreachableError, match="cannot be reached"):
        Build(f"redis://127.0.0.1:{free_port()}", "b", "1", "1")
