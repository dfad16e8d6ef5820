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


PLAIN = """
    import pytest

    @pytest.mark.parametrize("number", range(4))
    def test_add(number):
        assert number < 4
"""


@pytest.fixture
def plain(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Without a database; runs because of the report that it writes."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return Project(pytester, "[tool.slipstream]\nreport = ['report.md']")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return Project(pytester, DATABASES["sqlite"])


def test_reports_of_a_run_with_workers(project: Project) -> None:
    targets = [f"--slipstream-report=out/report{suffix}" for suffix in (".html", ".json", ".md")]
    project.run("--workers", "2", *targets, tests=TESTS).assert_outcomes(passed=4)
    html = (project.path / "out" / "report.html").read_text()
    assert html.count("test_it.py::test_add[") >= 4
    traced = json.loads((project.path / "out" / "report.json").read_text())["traceEvents"]
    assert sum("test_add" in one["name"] for one in traced) == 4
    assert (project.path / "out" / "report.md").read_text().startswith("## Tests: passed\n\n4 pas")


def test_github(plain: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = plain.path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    done = plain.run("--slipstream-report=github", tests=PLAIN.replace("< 4", "< 3"))
    assert done.ret == 1
    done.stdout.fnmatch_lines(["::error file=test_it.py::test_it.py::test_add[[]3[]] failed"])
    assert summary.read_text().startswith("## Tests: failed")


def test_report_that_cannot_be_written_costs_no_test_result(plain: Project) -> None:
    plain.write({"taken": ""})
    done = plain.run("--slipstream-report=taken/report.html", tests=PLAIN)
    assert done.ret == 0
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["slipstream: the report taken/report.html is not written: *"])


def test_name_of_no_report_is_an_error_before_the_run(plain: Project) -> None:
    done = plain.run("--slipstream-report=report.pdf", tests=PLAIN)
    assert done.ret == 4
    done.stderr.fnmatch_lines(
        ["*the report 'report.pdf' is none: *", "hint: --slipstream-report report.html"]
    )


def test_reports_of_runs_that_are_over(project: Project) -> None:
    project.run(tests=TESTS).assert_outcomes(passed=4)
    assert "4 tests cleaned" in project.slipstream("report")
    project.slipstream("report", "-o", "later.md", "-o", "later.json")
    assert "4 passed" in (project.path / "later.md").read_text()


def test_one_report_of_two_shards(plain: Project) -> None:
    plain.write({"test_it.py": PLAIN, "test_other.py": PLAIN})
    for number in (1, 2):
        plain.run("--shard", f"{number}/2")
        shutil.move(plain.path / ".slipstream" / "runs", plain.path / "left" / str(number))
    plain.slipstream("report", "merge", "left/1", "left/2", "-o", "both.md", "-o", "both.html")
    assert (plain.path / "both.md").read_text().startswith("## Tests: passed\n\n8 passed")
    assert "shard 2/2" in (plain.path / "both.html").read_text()
    plain.slipstream("report", "merge", "left/1", "-o", "one.md", "-o", "one.html")
    text = (plain.path / "one.md").read_text()
    assert text.startswith("## Tests: not whole\n")
    assert "- not whole: missing: shard 2/2\n" in text
    assert '<li class="broken">missing: shard 2/2</li>' in (plain.path / "one.html").read_text()


def test_trend(plain: Project) -> None:
    plain.run("--slipstream-past-runs=9", tests=PLAIN).assert_outcomes(passed=4)
    (kept,) = (plain.path / ".slipstream" / "past").glob("*.json.gz")
    for number in range(8):
        shutil.copy(kept, kept.with_name(f"{number}.json.gz"))
    assert plain.slipstream("report", "--trend").strip() == "9 runs; 0 became slower"


def test_no_past_runs_are_kept_if_none_are_wanted(plain: Project) -> None:
    plain.run("--slipstream-past-runs=0", tests=PLAIN).assert_outcomes(passed=4)
    assert not (plain.path / ".slipstream" / "past").exists()
