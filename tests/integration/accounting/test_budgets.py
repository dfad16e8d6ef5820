"""Whole runs with budgets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from projects import DATABASES, Project

TESTS = """
    import time

    import pytest

    @pytest.fixture
    def slow_rows():
        time.sleep(0.3)

    def test_slow(slow_rows):
        pass

    @pytest.mark.patient
    def test_patient(slow_rows):
        pass

    def test_quick():
        pass
"""
BUDGET = """
    [tool.slipstream.budget]
    test = "200ms"
    tests = { patient = "30s" }
    enforce = "always"
"""
MARK = "markers = ['patient: takes its time']"


def project_with(pytester: pytest.Pytester, budget: str) -> Project:
    project = Project(pytester, "")
    project.configure(budget, MARK)
    return project


def test_broken_budget_fails_the_run_and_names_the_test(pytester: pytest.Pytester) -> None:
    project = project_with(pytester, BUDGET)
    done = project.run(tests=TESTS)
    done.assert_outcomes(passed=3)
    assert done.ret == 10
    done.stdout.fnmatch_lines(
        [
            "budget broken: test_it.py::test_slow test 0.*s, limit 200ms",
            "  fixture slow_rows 0.*",
        ]
    )
    done.stdout.no_fnmatch_line("*test_patient*")


def test_failed_test_is_the_run_s_status_and_the_budget_is_said(pytester: pytest.Pytester) -> None:
    project = project_with(pytester, BUDGET)
    done = project.run(tests=TESTS + "\n    def test_wrong():\n        assert False\n")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["budget broken: test_it.py::test_slow *"])


def test_outside_of_ci_time_is_a_warning(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    soft = BUDGET.replace('enforce = "always"', "")
    project = project_with(pytester, soft)
    done = project.run(tests=TESTS)
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        ["over budget, a warning because not on a CI machine: test_it.py::test_slow *"]
    )
    monkeypatch.setenv("CI", "true")
    assert project.run(tests=TESTS).ret == 10


def test_counters_and_memory_of_workers(pytester: pytest.Pytester) -> None:
    budget = '[tool.slipstream.budget]\nmemory = "1MB"\ncounters = { commits = 0 }\n'
    project = Project(pytester, DATABASES["sqlite"])
    project.configure(DATABASES["sqlite"] + "\n" + budget)
    tests = (
        "from app.db import add\n\ndef test_slow():\n    add('anna')\n\ndef test_b():\n    pass\n"
    )
    done = project.run("--workers", "2", tests=tests)
    assert done.ret == 10
    done.stdout.fnmatch_lines_random(
        [
            "budget broken: memory *MB, limit 1MB",
            "budget broken: test_it.py::test_slow commits 1, limit 0",
        ]
    )


def test_allowances_let_a_suite_begin_and_shrink(pytester: pytest.Pytester) -> None:
    project = project_with(pytester, BUDGET)
    assert project.run(tests=TESTS).ret == 10
    assert "1 tests have an allowance, 0 need none" in project.slipstream("budget", "update")
    path = project.path / ".slipstream" / "budget.json"
    path.write_text(path.read_text().replace("0.", "60."))  # however slow the machine is
    assert project.run(tests=TESTS).ret == 0
    project.slipstream("budget", "update")
    (allowed,) = json.loads(path.read_text())["tests"].values()
    assert allowed < 60
    project.run(tests=TESTS.replace("time.sleep(0.3)", "pass"))
    assert "0 tests have an allowance, 1 need none" in project.slipstream("budget", "update")


def test_unreadable_allowances_cost_no_test_result(pytester: pytest.Pytester) -> None:
    project = project_with(pytester, BUDGET)
    project.write({".slipstream/budget.json": '{"version": 1, "te'})
    done = project.run(tests=TESTS)
    assert done.ret == 10
    done.stdout.fnmatch_lines(["slipstream: the allowances * cannot be read: *"])


def said_by(project: Project) -> str:
    command = [str(Path(sys.executable).with_name("slipstream")), "budget", "update"]
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr


def test_update_without_a_budget_or_a_run(pytester: pytest.Pytester) -> None:
    project = Project(pytester, "")
    assert "no test has a budget of time" in said_by(project)
    project.configure(BUDGET)  # as the hint says
    assert "there is no run record" in said_by(project)
