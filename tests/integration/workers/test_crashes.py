"""Workers that are lost: who is blamed, what still runs, and what does not hang."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trials import Trial

GENEROUS_S = 60


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + GENEROUS_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


ENDINGS = {
    "os._exit(7)": "ended with exit status 7",
    "os.kill(os.getpid(), signal.SIGKILL)": "was ended by signal 9 (SIGKILL)",
    "faulthandler._sigsegv()": "was ended by signal 11 (SIGSEGV)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_crash_is_its_tests_failure_and_the_others_run(trial: Trial, ending: str) -> None:
    trial.add(
        "crash",
        f"""
import faulthandler, os, signal, sys
import pytest

@pytest.fixture(scope="module")
def wide():
    return []

@pytest.mark.parametrize("n", range(12))
def test_it(n, wide):
    if n == 5:
        {ending}
""",
    )
    run = trial.run("--workers=2", "-p", "no:xdist")
    assert run.code == 1, run.output
    outcomes = run.outcomes()
    assert outcomes.pop("test_crash.py::test_it[5]") == "failed"
    assert set(outcomes.values()) == {"passed"}
    assert len(outcomes) == 11
    assert f"{ENDINGS[ending]} while it ran this test" in run.output


def test_the_stack_of_a_segfault_is_in_the_report(trial: Trial) -> None:
    trial.add("segfault", "def test_it():\n    import faulthandler; faulthandler._sigsegv()\n")
    run = trial.run("--workers=1")
    assert "the last lines that it wrote:" in run.output
    assert 'test_segfault.py", line 2 in test_it' in run.output


def test_each_test_that_crashes_costs_one_worker_and_the_run_ends(trial: Trial) -> None:
    trial.add(
        "all",
        """
import os, pytest

@pytest.fixture(scope="module")
def broken():
    os._exit(3)

@pytest.mark.parametrize("n", range(4))
def test_it(n, broken):
    pass
""",
    )
    run = trial.run("--workers=2")
    assert set(run.outcomes().values()) == {"failed"}
    assert len(run.outcomes()) == 4, run.output


def test_workers_that_cannot_begin_end_the_run(trial: Trial) -> None:
    trial.add(
        "it", "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_it(n): pass\n"
    )
    conftest = trial.directory / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + "\nimport os\nos.register_at_fork(after_in_child=lambda: os._exit(4))\n"
    )
    run = trial.run("--workers=2")
    assert run.code == 1
    assert "ended with exit status 4 while it ran no test" in run.output


def test_a_crash_after_the_last_test_fails_the_run(trial: Trial) -> None:
    trial.add(
        "it",
        "import atexit, os\ndef test_it():\n    atexit.register(os._exit, 5)\n",
    )
    run = trial.run("--workers=1")
    assert run.outcomes() == {"test_it.py::test_it": "passed"}
    assert run.code == 1
    assert "ended with exit status 5 after its last test" in run.output


HANGING = """
import os, time
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def wide(worker_id):
    yield
    Path(f"{worker_id}.torn-down").touch()

@pytest.mark.parametrize("n", range(2))
def test_it(n, wide, worker_id):
    Path(f"{worker_id}.began").write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)
"""


@pytest.fixture
def hanging(trial: Trial) -> tuple[subprocess.Popen[str], Path]:
    """A run on two workers, each of which runs a test that does not end."""
    trial.add("hangs", HANGING)
    process = subprocess.Popen(
        trial.command("--workers=2"),
        cwd=trial.directory,
        env=trial.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: len(list(trial.directory.glob("*.began"))) == 2, "two tests began")
    return process, trial.directory


def workers(directory: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in directory.glob("*.began")]


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_tears_fixtures_down(hanging: tuple[subprocess.Popen[str], Path]) -> None:
    process, directory = hanging
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=GENEROUS_S)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "KeyboardInterrupt" in output
    assert len(list(directory.glob("*.torn-down"))) == 2
    assert not any(map(is_alive, workers(directory)))


def test_workers_do_not_outlive_a_killed_parent(
    hanging: tuple[subprocess.Popen[str], Path],
) -> None:
    process, directory = hanging
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not any(map(is_alive, workers(directory))), "the workers have ended")


def test_a_second_ctrl_c_does_not_wait(trial: Trial) -> None:
    trial.add("hangs", HANGING.replace('Path(f"{worker_id}.torn-down").touch()', "time.sleep(600)"))
    process = subprocess.Popen(
        trial.command("--workers=2"),
        cwd=trial.directory,
        env=trial.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: len(list(trial.directory.glob("*.began"))) == 2, "two tests began")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # the second one has the same effect whenever it comes
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=GENEROUS_S)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert not any(map(is_alive, workers(trial.directory)))


def test_a_thread_that_is_left_does_not_hold_a_worker(trial: Trial) -> None:
    trial.add(
        "thread",
        "import threading, time\n"
        "def test_it():\n    threading.Thread(target=time.sleep, args=(600,)).start()\n",
    )
    assert trial.run("--workers=1").code == 0


def test_a_child_that_is_left_does_not_hide_that_its_worker_is_gone(trial: Trial) -> None:
    trial.add(
        "child",
        """
import os, stat, time

def test_it():
    child = os.fork()
    if child == 0:
        for descriptor in range(256):  # all but the worker's connection
            try:
                if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    os.close(descriptor)
            except OSError:
                pass
        time.sleep(600)
    open("child", "w").write(str(child))
    os._exit(6)
""",
    )
    run = trial.run("--workers=1")
    os.kill(int((trial.directory / "child").read_text()), signal.SIGKILL)
    assert "ended with exit status 6 while it ran this test" in run.output


def test_a_copy_of_the_worker_that_runs_on_reports_nothing(trial: Trial) -> None:
    trial.add(
        "copy",
        """
import os, pytest

def test_it():
    if os.fork():
        os.wait()

@pytest.mark.parametrize("n", range(3))
def test_next(n):
    pass
""",
    )
    run = trial.run("--workers=1", "-p", "no:randomly")
    assert run.code == 0, run.output
    assert "4 passed" in run.output


def test_a_worker_that_hangs_is_dumped_and_replaced(trial: Trial) -> None:
    trial.add(
        "hangs",
        """
import time
import pytest

@pytest.mark.parametrize("n", [0, pytest.param(1, marks=pytest.mark.timeout(2)), 2])
def test_it(n):
    if n == 1:
        time.sleep(600)
""",
    )
    run = trial.run("-p", "timeout", "--timeout-method=thread", "--workers=1")
    assert run.outcomes() == {
        "test_hangs.py::test_it[0]": "passed",
        "test_hangs.py::test_it[1]": "failed",
        "test_hangs.py::test_it[2]": "passed",
    }
    assert 'test_hangs.py", line 8, in test_it' in run.output
