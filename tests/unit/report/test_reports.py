"""Reports of a record, each as what reads it sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_slipstream import events
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.report import github, page, writing
from pytest_slipstream.report.run import PARTS, RunReport, run_report
from pytest_slipstream.report.trace import trace

NASTY = 't.py::test_a[</script><script>alert("x")</script>|`%\n]'


def timed(name: str, began: float, **changes: object) -> events.TestTimed:
    values = {
        "node_id": name,
        "outcome": "passed",
        "began": began,
        "seconds": 1.0,
        "own": (0.1, 0.3, 0.1),
        "cpu_seconds": 0.2,
        "fixtures": {"::a": (0.1, 0.05)},
        "spent": {"queries": 0.1, "cleaning": 0.05, "slot": 0.1},
        **changes,
    }
    return events.TestTimed(**values)  # type: ignore[arg-type]


def happened(*tests: events.TestTimed, exit_status: int = 0) -> list[events.AnyEvent]:
    return [
        events.RunStarted(testrun_uid="u", version="1", python="3.11.7", system="linux", at=100.5),
        *tests,
        events.MemorySeen(at=102.0, kind="PSS", own_bytes=10**8),
        events.MemorySeen(at=103.0, kind="PSS", own_bytes=2 * 10**8),
        events.ProcessTimed(
            at=110.0,
            began=100.0,
            starting_seconds=0.5,
            conftest_seconds=0.5,
            collecting_seconds=1.0,
            running_seconds=7.0,
            imports={"t.py": 0.5},
        ),
        events.RunFinished(at=110.0, exit_status=exit_status, server_seconds=0.0),
    ]


def test_tests_that_overlap_are_in_rows_of_their_own() -> None:
    run = run_report(happened(timed("a", 102.0), timed("b", 102.5), timed("c", 103.2)))
    assert run.rows == ("main", "main (2)")
    assert [(test.node_id, test.row) for test in run.tests] == [("a", 0), ("b", 1), ("c", 0)]
    assert dict(zip(PARTS, run.tests[0].parts, strict=True)) == pytest.approx(
        {"set-up": 0.3, "body": 0.4, "teardown": 0.15, "cleaning": 0.05, "pytest": 0.1}
    )


@pytest.mark.parametrize(
    ("exit_status", "fails", "outcome", "verdict"),
    [
        (0, False, "passed", "passed"),
        (1, True, "failed", "failed"),
        (10, True, "passed", "budget broken"),
        (2, False, "passed", "failed"),
    ],
)
def test_verdict(exit_status: int, fails: bool, outcome: str, verdict: str) -> None:
    broken = events.BudgetBroken(budget="wall", limit="1s", seen="2s", fails=fails)
    record = happened(timed("a", 102.0, outcome=outcome), exit_status=exit_status)
    assert run_report([*record, broken]).verdict == verdict


def test_run_that_was_killed_did_not_end() -> None:
    assert run_report(happened(timed("a", 102.0))[:-1]).verdict == "did not end"


def test_trace_has_every_part_within_its_test() -> None:
    found = json.loads(trace(run_report(happened(timed(NASTY, 102.0)))))["traceEvents"]
    (name,) = [one["args"]["name"] for one in found if one["name"] == "thread_name"]
    assert name == "main"
    (whole,) = [one for one in found if one["name"] == NASTY]
    assert (whole["ts"], whole["dur"]) == (2_000_000, 1_000_000)
    parts = [one for one in found if one["name"] in PARTS]
    assert len(parts) == len(PARTS)
    for part in parts:
        assert whole["ts"] <= part["ts"]
        assert part["ts"] + part["dur"] <= whole["ts"] + whole["dur"] + 1
    assert sum(part["dur"] for part in parts) == pytest.approx(1_000_000, abs=5)
    assert [one["args"]["bytes"] for one in found if one["ph"] == "C"] == [10**8, 2 * 10**8]


def failing(count: int) -> RunReport:
    tests = [timed(f"t.py::test_{n}", 102.0 + n, outcome="failed") for n in range(count)]
    return run_report(happened(*tests, exit_status=1))


def test_annotations_are_as_many_as_github_shows() -> None:
    assert github.commands(failing(10)).count("::error file=t.py::") == 10
    many = github.commands(failing(12)).splitlines()
    assert len(many) == 10
    assert many[-1] == "::error::and 3 more, see the report"


def test_names_cannot_break_out_of_what_github_reads() -> None:
    run = run_report(happened(timed(NASTY, 102.0, outcome="error"), exit_status=1))
    (command,) = github.commands(run).splitlines()
    assert command.startswith("::error file=t.py::t.py::test_a[")
    assert "%25%0A" in command
    row = next(line for line in github.summary(run).splitlines() if line.startswith("| `"))
    assert row.replace("\\|", "").count("|") == 3
    assert row.count("`") == 2


def test_summary() -> None:
    lines = github.summary(failing(2)).splitlines()
    assert lines[0] == "## Tests: failed"
    assert lines[2] == "2 failed, in 10.0 s"
    assert "- failed: `t.py::test_0`" in lines
    assert "| where 10.0 worker seconds went | seconds | |" in lines


def test_page_is_one_file_whose_script_no_name_can_end() -> None:
    text = page.page(run_report(happened(timed(NASTY, 102.0))), [9.0, 10.0])
    assert "</script><script>alert" not in text
    assert "\\u003c/script>" in text
    assert "http://" not in text.split("<body>")[1].split("<script>")[0]
    assert '<script src="' not in text
    assert "1 passed in 10.0 s" in text
    assert len(text) < 2_000_000


def test_page_shows_statements_and_waits_that_were_told_apart() -> None:
    told = events.StatementsTimed(node_id="a", statements={"select '<b>'": (3, 0.25)})
    waited = events.WaitsTimed(node_id="a", waits={"HTTP in <app>.py:3": (3, 0.25)})
    text = page.page(run_report([*happened(timed("a", 102.0)), told, waited]), [])
    assert "HTTP in &lt;app&gt;.py:3" in text
    assert "<code>select &#39;&lt;b&gt;&#39;</code>" in text
    assert "Slowest statements" not in page.page(run_report(happened(timed("a", 102.0))), [])


def test_page_of_a_run_without_tests() -> None:
    assert "no tests" in page.page(run_report([]), [])


@pytest.mark.parametrize("target", ["report.pdf", "report", "GitHub"])
def test_target_that_is_no_report(target: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must end in one of \.html, \.json, \.md"):
        writing.check([target])


def test_target_that_cannot_be_written_costs_the_others_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    targets = ["taken/report.md", "new/report.md"]
    problems, printed = writing.write(targets, happened(timed("a", 102.0)), tmp_path)
    (problem,) = problems
    assert problem.startswith("the report taken/report.md is not written: ")
    assert (tmp_path / "new" / "report.md").read_text().startswith("## Tests: passed")
    assert printed == ""


def test_github_summary_is_added_and_cut(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    summary.write_bytes(b"x" * (1024 * 1024 - 100) + b"\n")
    environ = {"GITHUB_STEP_SUMMARY": str(summary)}
    problems, _ = writing.write(["github"], happened(timed("a", 102.0)), tmp_path, environ)
    assert problems == []
    assert summary.stat().st_size <= 1024 * 1024
    assert summary.read_text().endswith("the rest is in the merged run record.\n")
