"""Reports that whole runs write, and those of runs that are over."""

from __future__ import annotations

import json
import shutil

import pytest

from projects import DATABASES, Project

TESTS = """
    import pytest
    from app.db import add, names

    @pytest.mark.parametrize("number", range(4))
    def test_add(number):
        add(f"anna {number}")
        assert names() == [f"anna {number}"]
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return Project(pytester, DATABASES["sqlite"])


def test_reports_of_a_run_with_workers(project: Project) -> None:
    targets = [f"--slipstream-report=out/report{suffix}" for suffix in (".html", ".json", ".md")]
    project.run("-n", "2", *targets, tests=TESTS).assert_outcomes(passed=4)
    html = (project.path / "out" / "report.html").read_text()
    assert html.count("test_it.py::test_add[") >= 4
    traced = json.loads((project.path / "out" / "report.json").read_text())["traceEvents"]
    assert sum("test_add" in one["name"] for one in traced) == 4
    assert (project.path / "out" / "report.md").read_text().startswith("## Tests: passed\n\n4 pas")


def test_github(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = project.path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    done = project.run("--slipstream-report=github", tests=f"{TESTS}        assert number < 3\n")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["::error file=test_it.py::test_it.py::test_add[[]3[]] failed"])
    assert summary.read_text().startswith("## Tests: failed")


def test_report_that_cannot_be_written_costs_no_test_result(project: Project) -> None:
    project.write({"taken": ""})
    done = project.run("--slipstream-report=taken/report.html", tests=TESTS)
    assert done.ret == 0
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["slipstream: the report taken/report.html is not written: *"])


def test_name_of_no_report_is_an_error_before_the_run(project: Project) -> None:
    done = project.run("--slipstream-report=report.pdf", tests=TESTS)
    assert done.ret == 4
    done.stderr.fnmatch_lines(
        ["*the report 'report.pdf' is none: *", "hint: --slipstream-report report.html"]
    )


def test_report_of_a_project_without_a_database(pytester: pytest.Pytester) -> None:
    project = Project(pytester, "")
    project.run("--slipstream-report=r.md", tests="def test_a(): pass").assert_outcomes(passed=1)
    assert "1 passed" in (project.path / "r.md").read_text()


def test_reports_of_runs_that_are_over(project: Project) -> None:
    project.run(tests=TESTS).assert_outcomes(passed=4)
    assert "4 tests cleaned" in project.slipstream("report")
    project.slipstream("report", "-o", "later.md", "-o", "later.json")
    assert "4 passed" in (project.path / "later.md").read_text()


def test_one_report_of_two_shards(project: Project) -> None:
    project.write({"test_it.py": TESTS, "test_other.py": TESTS})
    for number in (1, 2):
        project.run("--shard", f"{number}/2")
        shutil.move(project.path / ".slipstream" / "runs", project.path / "left" / str(number))
    project.slipstream("report", "merge", "left/1", "left/2", "-o", "both.md", "-o", "both.html")
    assert (project.path / "both.md").read_text().startswith("## Tests: passed\n\n8 passed")
    assert "shard 2/2" in (project.path / "both.html").read_text()


def test_trend(project: Project) -> None:
    project.run("--slipstream-past-runs=9", tests=TESTS).assert_outcomes(passed=4)
    (kept,) = (project.path / ".slipstream" / "past").glob("*.json.gz")
    for number in range(8):
        shutil.copy(kept, kept.with_name(f"{number}.json.gz"))
    assert project.slipstream("report", "--trend").strip() == "9 runs; 0 became slower"


def test_no_past_runs_are_kept_if_none_are_wanted(project: Project) -> None:
    project.run("--slipstream-past-runs=0", tests=TESTS).assert_outcomes(passed=4)
    assert not (project.path / ".slipstream" / "past").exists()
