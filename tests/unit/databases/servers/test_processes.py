"""Processes that outlive whoever started them, with a small program in a server's place."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from pytest_slipstream.databases.servers import process
from pytest_slipstream.databases.servers.privileges import Account
from pytest_slipstream.databases.servers.process import Running
from pytest_slipstream.errors import ServerError

OURS = Account(uid=os.geteuid(), gid=os.getegid())
STUBBORN = 'trap "" INT QUIT; echo ready; while :; do sleep 0.05; done'


@pytest.fixture
def stubborn(tmp_path: Path) -> Generator[Running, None, None]:
    """A server that takes no hint."""
    mark = str(tmp_path / "mark")
    log = tmp_path / "log"
    pid = process.launch(["/bin/sh", "-c", STUBBORN, mark], account=OURS, log=log)
    deadline = time.monotonic() + 10
    while "ready" not in log.read_text("utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running = Running(pid=pid, mark=mark, stop=(("SIGINT", 0.1), ("SIGQUIT", 0.1)))
    yield running
    if process.find(running):
        os.kill(pid, signal.SIGKILL)


def test_it_is_nobodys_child_in_a_session_of_its_own(stubborn):
    assert psutil.Process(stubborn.pid).ppid() != os.getpid()
    assert os.getsid(stubborn.pid) != os.getsid(0)


def test_descriptors_are_not_inherited(stubborn, tmp_path):
    opened = {file.path for file in psutil.Process(stubborn.pid).open_files()}
    assert opened <= {str(tmp_path / "log")}


def test_ladder_ends_with_sigkill(stubborn):
    assert process.find(stubborn) is not None
    process.stop(stubborn)
    assert process.find(stubborn) is None
    process.stop(stubborn)


def test_another_program_with_its_process_id_is_never_hit(stubborn):
    reused = Running(pid=stubborn.pid, mark="another mark", stop=(("SIGKILL", 1.0),))
    assert process.find(reused) is None
    process.stop(reused)
    assert process.find(stubborn) is not None


def test_program_that_is_not_there(tmp_path):
    absent = str(tmp_path / "absent")
    assert "cannot be run: No such file" in (process.run_tool([absent], account=OURS) or "")
    account = Account(uid=OURS.uid, gid=OURS.gid, dropped=True)
    if os.geteuid() != 0:
        with pytest.raises(ServerError, match="cannot be started"):
            process.launch([absent], account=account, log=tmp_path / "log")


def test_it_is_found_while_it_becomes_another_program(tmp_path):
    # While a program is replaced, the kernel shows no command line: each `env` is one chance to
    # look at that moment.
    mark = str(tmp_path / "mark")
    replaced = ["env"] * 200 + ["/bin/sh", "-c", "while :; do sleep 0.05; done", mark]
    running = Running(
        pid=process.launch(replaced, account=OURS, log=tmp_path / "log"),
        mark=mark,
        stop=(("SIGKILL", 1.0),),
    )
    try:
        while (found := process.find(running)) is not None and found.name() != "sh":
            pass
        assert found is not None
    finally:
        process.stop(running)
