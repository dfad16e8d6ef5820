"""Plugins that teams use together with workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trials import Trial

STARTS = ("fork", "spawn")
MODULE = """
def sign(n):
    if n < 0:
        return -1
    elif n == 100:
        return "never"
    return 1 if n else 0
"""
TESTS = """
import pytest
import covered

@pytest.mark.parametrize("n", range({0}, {0} + 4))
def test_it(n):
    assert covered.sign(n) in (-1, 0, 1)
"""
COVERAGE = ("-p", "pytest_cov", "--cov=.", "--cov-branch", "--cov-report=json:coverage.json")


def measured(trial: Trial, *arguments: str) -> dict[str, object]:
    run = trial.run(*COVERAGE, *arguments)
    assert run.code == 0, run.output
    report = json.loads((trial.directory / "coverage.json").read_text())
    return {
        name: (file["executed_lines"], file["executed_branches"])
        for name, file in report["files"].items()
        if name not in ("conftest.py", "late.py")
    }


@pytest.fixture
def covered(trial: Trial) -> Trial:
    """A module, and two test files of which each covers a part of it."""
    (trial.directory / "covered.py").write_text(MODULE)
    trial.add("negative", TESTS.format(-4))
    trial.add("positive", TESTS.format(1))
    return trial


@pytest.mark.parametrize("start", STARTS)
def test_coverage_is_that_of_the_sequential_run(covered: Trial, start: str) -> None:
    with_workers = measured(covered, "--workers=2", f"--workers-start={start}")
    assert with_workers == measured(covered)


LATE = """
import os
import time
from pathlib import Path

until = time.monotonic() + 100
while os.environ.get("PYTEST_XDIST_WORKER") == "gw1" and not list(Path().glob(".coverage.*")):
    assert time.monotonic() < until
    time.sleep(0.05)
"""


def test_a_worker_that_begins_late_keeps_what_others_have_covered(covered: Trial) -> None:
    (covered.directory / "late.py").write_text(LATE)
    expected = measured(covered)
    late = ("-p", "late", "--workers=2", "--workers-start=spawn")
    assert measured(covered, *late) == expected


@pytest.mark.parametrize("start", STARTS)
def test_tests_are_run_again(trial: Trial, start: str) -> None:
    trial.add(
        "flaky",
        """
from pathlib import Path
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(n):
    before = Path(f"{n}")
    if not before.exists():
        before.touch()
        assert False
""",
    )
    plugins = ("-p", "xdist", "-p", "rerunfailures", "--reruns=1")
    run = trial.run(*plugins, "--workers=2", f"--workers-start={start}")
    assert "4 passed" in run.output
    assert "4 rerun" in run.output
    assert run.code == 0


@pytest.mark.parametrize("start", STARTS)
def test_directories_and_ids_are_the_workers_own(trial: Trial, start: str) -> None:
    trial.add(
        "own",
        """
import os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("n", range(2))
def test_it(n, tmp_path, worker_id, testrun_uid, request):
    Path(worker_id).touch()
    until = time.monotonic() + 100
    while not (Path("gw0").exists() and Path("gw1").exists()):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert f"popen-{worker_id}" in str(tmp_path)
    assert os.environ["PYTEST_XDIST_WORKER"] == worker_id
    assert os.environ["PYTEST_XDIST_WORKER_COUNT"] == "2"
    assert os.environ["PYTEST_XDIST_TESTRUNUID"] == testrun_uid
    assert request.config.workerinput["workerid"] == worker_id
""",
    )
    run = trial.run("--workers=2", f"--workers-start={start}")
    assert run.code == 0, run.output
    assert {path.name for path in Path(trial.directory).glob("gw*")} == {"gw0", "gw1"}
