"""pytest's own options, and wrong ones, together with ``--workers``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from trials import Trial

SOME = """
import os
import pytest

@pytest.mark.parametrize("n", range(20))
def test_it(n):
    print("printed by", n)
    with open("ran", "a") as ran:
        ran.write(f"{n} {os.environ.get('PYTEST_XDIST_WORKER')}\\n")
    assert n not in (3, 13)
"""


@pytest.fixture
def some(trial: Trial) -> Trial:
    """Twenty tests, two of which fail."""
    trial.add("some", SOME)
    return trial


def ran(trial: Trial) -> dict[int, str]:
    """The tests that ran, each with its worker, since the last time."""
    path = trial.directory / "ran"
    lines = path.read_text().splitlines()
    path.unlink()
    return {int(number): worker for number, worker in map(str.split, lines)}


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_number_that_is_none_is_refused(some: Trial, value: str) -> None:
    run = some.run(f"--workers={value}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "--workers" in run.output
    assert "a whole number of at least 1 or auto" in run.output


def test_two_kinds_of_workers_are_refused(some: Trial) -> None:
    run = some.run("-p", "xdist", "-n", "2", "--workers=2")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "-n 2 and --workers 2 are both given" in run.output
    assert "hint: drop -n" in run.output


def test_more_workers_than_tests_are_not_started(some: Trial) -> None:
    some.run("--workers=50", "-k", "test_it[1] or test_it[2]")
    assert set(ran(some).values()) <= {"gw0", "gw1"}


def test_auto_may_take_none(some: Trial) -> None:
    run = some.run("--workers=auto", "-k", "test_it[1]")
    assert "which workers would not shorten" in run.output
    assert set(ran(some).values()) == {"None"}


@pytest.mark.parametrize("option", ["--pdb", "--sw", "--trace", "--setup-show"])
def test_what_a_person_watches_runs_in_sequence(some: Trial, option: str) -> None:
    run = some.run("--workers=2", option, "-k", "test_it[1]", "--pdbcls=pdb:Pdb")
    assert "runs the tests in sequence, without workers" in run.output


def test_the_prediction_tells_what_was_never_measured(some: Trial) -> None:
    line = some.run("--workers=2").output
    assert "; a guess, as 20 tests were never measured" in line
    assert "in sequence 2.0 s, --workers 2 1.1 s" in line


def test_it_stops_at_the_first_failure(trial: Trial) -> None:
    trial.add(
        "fails_first",
        """
import time
import pytest

@pytest.mark.parametrize("n", range(40))
def test_it(n):
    assert n
    time.sleep(0.5)
""",
    )
    run = trial.run("--workers=2", "-x")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert "stopping after 1 failures" in run.output
    # The other worker finishes what it runs; all tests would be 40.
    assert len(run.outcomes()) < 20


def test_last_failed_and_failed_first(some: Trial) -> None:
    some.run("--workers=2")
    ran(some)
    some.run("--workers=1", "--ff")  # of two, the faster one takes from the other's end
    order = list(ran(some))
    assert order[:2] == [3, 13]
    assert len(order) == 20
    some.run("--workers=2", "--lf")
    assert set(ran(some)) == {3, 13}


def test_the_terminal_names_the_worker(some: Trial) -> None:
    output = some.run("--workers=2", "-v", "-s", "--durations=2", "-vv").output
    assert "PASSED test_some.py::test_it[19]" in output
    assert "[gw0] printed by" in output
    assert "[gw1] printed by" in output
    assert "slowest 2 durations" in output


def test_junit_is_that_of_the_sequential_run(some: Trial) -> None:
    def cases(*arguments: str) -> set[tuple[object, ...]]:
        some.run(*arguments, "--junitxml=junit.xml", "-o", "junit_logging=all")
        root = ElementTree.parse(some.directory / "junit.xml").getroot()
        return {
            (case.get("name"), case.findtext("system-out"), *(child.tag for child in case))
            for case in root.iter("testcase")
        }

    assert cases("--workers=2") == cases()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_slipstream_itself_warns_of_nothing(tmp_path: Path, start: str) -> None:
    """Suites often make errors of all warnings; plugins are found by their entry points."""
    trial = Trial(tmp_path)
    trial.configure(pytest="filterwarnings = ['error']\nasyncio_mode = 'auto'")
    trial.add("it", "import asyncio\nasync def test_it(): await asyncio.sleep(0)\n" * 2)
    for options in ((), ("--slipstream-concurrency=2",)):
        run = trial.run("--workers=1", f"--workers-start={start}", *options)
        assert run.code == 0, run.output


def test_a_failed_part_of_a_unittest_is_not_counted_twice(trial: Trial) -> None:
    trial.add(
        "parts",
        """
import unittest

class TestParts(unittest.TestCase):
    def test_it(self):
        for number in range(3):
            with self.subTest(number=number):
                assert number != 1
""",
    )
    for options in ((), ("-p", "no:subtests")):
        run = trial.run("--workers=1", *options)
        assert run.told("sections") == trial.run(*options).told("sections"), run.output


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("plugins", [("terminal",), ("tmpdir", "logging", "cacheprovider")])
def test_pytests_own_plugins_may_be_left_out(
    some: Trial, plugins: tuple[str, ...], start: str
) -> None:
    without = [option for plugin in plugins for option in ("-p", f"no:{plugin}")]
    run = some.run("--workers=2", f"--workers-start={start}", *without)
    assert run.code == pytest.ExitCode.TESTS_FAILED, run.output
    assert len(run.outcomes()) == 20


def test_pytest_exit_ends_the_run(trial: Trial) -> None:
    trial.add("exits", "import pytest\ndef test_it():\n    pytest.exit('enough', returncode=17)\n")
    run = trial.run("--workers=1")
    assert run.code == 17
    assert "enough" in run.output


def test_workers_that_collect_something_else_are_told_apart(trial: Trial) -> None:
    trial.add(
        "differs",
        """
import os
import pytest

@pytest.mark.parametrize("worker", [os.environ.get("PYTEST_XDIST_WORKER", "parent")])
def test_it(worker):
    pass
""",
    )
    run = trial.run("--workers=1", "--workers-start=spawn")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert "has collected other tests than its parent" in run.output
    assert "only here: test_differs.py::test_it[parent]" in run.output


def test_a_thread_makes_workers_spawned(trial: Trial) -> None:
    trial.add(
        "thread",
        """
import threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True, name="mine").start()

def test_it():
    pass
""",
    )
    run = trial.run("--workers=1")
    assert run.code == 0, run.output
    assert "workers are spawned, not forked" in run.output
    assert "the thread 'mine'" in run.output
