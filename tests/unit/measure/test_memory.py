"""The memory of real process trees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_slipstream.measure.memory import MemoryWatch

MEGABYTE = 1 << 20
HOLD = "import sys; held = bytearray(b'x') * (64 << 20); print('ready', flush=True); input()"
PARENT = (
    "import subprocess, sys\n"
    "sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1]]).returncode)"
)

no_pss = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="the system has no PSS"
)


@contextmanager
def holding(*arguments: str) -> Iterator[int]:
    """A process that holds 64 MB, until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-c", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


@no_pss
def test_the_memory_of_a_child_s_child_counts():
    watch = MemoryWatch(lambda users: [])
    with holding(PARENT, HOLD) as pid:
        watch.look(pid)
    assert watch.own.kind == "PSS"
    assert watch.own.seen_bytes is not None
    assert 64 * MEGABYTE < watch.own.seen_bytes < 128 * MEGABYTE
    assert watch.of_servers.seen_bytes is None


@no_pss
def test_servers_are_apart_and_found_by_their_users():
    asked: list[set[int]] = []

    def servers(users: set[int]) -> list[int]:
        asked.append(users)
        return [server]

    watch = MemoryWatch(servers)
    with holding(HOLD) as server, holding("print('ready', flush=True); input()") as pid:
        watch.look(pid)
    assert asked == [{pid}]
    assert watch.own.seen_bytes is not None
    assert watch.own.seen_bytes < 64 * MEGABYTE
    assert watch.of_servers.seen_bytes is not None
    assert watch.of_servers.seen_bytes > 64 * MEGABYTE


def test_without_pss_it_is_rss_and_says_so(tmp_path):
    watch = MemoryWatch(lambda users: [], proc=tmp_path)
    with holding(HOLD) as pid:
        watch.look(pid)
    assert watch.own.kind == "RSS"
    assert watch.own.seen_bytes is not None
    assert watch.own.seen_bytes > 64 * MEGABYTE


def test_a_process_that_may_not_be_looked_into_is_rss(tmp_path):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "smaps_rollup").touch()
    watch = MemoryWatch(lambda users: [], proc=tmp_path)
    assert watch.own.kind == "PSS"
    with holding(HOLD) as pid:
        watch.look(pid)
    assert watch.own.kind == "RSS"
    assert watch.own.seen_bytes is not None
    assert watch.own.seen_bytes > 64 * MEGABYTE


def test_the_peak_stays_when_the_process_has_ended():
    watch = MemoryWatch(lambda users: [])
    with holding(HOLD) as pid:
        watch.look(pid)
    peak = watch.own.seen_bytes
    watch.look(pid)
    assert watch.own.seen_bytes == peak


def test_nothing_is_known_of_a_process_that_was_never_seen():
    watch = MemoryWatch(lambda users: [])
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    watch.look(child.pid)
    assert watch.own.seen_bytes is None
    watch.look(os.getpid())
    assert watch.own.seen_bytes is not None
