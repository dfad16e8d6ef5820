"""``slipstream merge`` over what whole runs of shards left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from pytest_slipstream import cli, events, record
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.settings import OVER_BUDGET

TESTS = """
    import pytest


    @pytest.mark.parametrize("n", range(6))
    def test_passes(n):
        pass


    @pytest.mark.skip
    def test_skipped():
        pass
"""
FAILS = TESTS + "\n\n    def test_fails():\n        assert 1 == 2\n"

Slipstream = Callable[..., str]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both shards of a suite that passes, and of one that fails, left: ``passes/1`` …"""
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text("[tool.slipstream]\ndurations = true\n")
    own = ("PYTEST_", "SLIPSTREAM_", "COVERAGE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    for name, tests in (("passes", TESTS), ("fails", FAILS)):
        (project / "test_it.py").write_text(textwrap.dedent(tests))
        for number in (1, 2):
            left = project / name / str(number)
            subprocess.run(
                [sys.executable, "-m", "pytest", "--shard", f"{number}/2",
                 f"--junit-xml={left}/junit.xml", "-p", "no:cacheprovider"],
                cwd=project,
                env=environ,
                check=False,
                timeout=120,
            )  # fmt: skip
            (project / ".slipstream").rename(left / ".slipstream")
    return project


@pytest.fixture(autouse=True)
def left(builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with what the machines left."""
    for name in ("passes", "fails"):
        shutil.copytree(builds / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    # Where these tests run in CI, the summary there is not for them.
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


@pytest.fixture
def merge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Slipstream:
    """What ``slipstream merge`` says; it must end with this exit status."""

    def run(*arguments: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["slipstream", "merge", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert ended.value.code == status, captured
        return captured.out + captured.err

    return run


def test_shards_that_passed_are_a_build_that_passed(merge: Slipstream):
    said = merge("passes/1", "passes/2")
    assert "7 tests, 0 failed, 1 skipped; merged into .slipstream/merged; exit status 0" in said
    merged = Path(".slipstream/merged")
    assert sorted(path.name for path in merged.iterdir()) == [
        "durations.json",
        "events-merge.jsonl",
        "junit.xml",
    ]
    root = ElementTree.parse(merged / "junit.xml").getroot()
    assert root.get("tests") == str(len(list(root.iter("testcase")))) == "7"
    (known,) = history_file.read(merged / "durations.json").machines.values()
    assert known.count() == 7
    happened = record.read(merged)
    assert len({event.worker for event in happened}) == 3
    assert isinstance(happened[-1], events.BuildMerged)
    assert happened[-1].tests == 7


def test_a_failure_anywhere_fails_the_build_and_is_named(merge: Slipstream):
    assert "failed: test_it::test_fails\n" in merge("fails/1", "fails/2", status=1)


def test_a_failure_without_a_junit_file_is_told_by_its_machine(merge: Slipstream):
    for file in Path("fails").rglob("junit.xml"):
        file.unlink()
    said = merge("fails/1", "fails/2", status=1)
    assert "note: tests failed in shard " in said
    assert "no JUnit file names a test; merged into" in said


def test_a_budget_broken_on_a_machine_fails_the_build(merge: Slipstream, left: Path):
    (runs,) = (left / "passes/2/.slipstream/runs").glob("*/events-main.jsonl")
    *before, end = record.read(runs.parent)
    assert isinstance(end, events.RunFinished)
    broken = events.BudgetBroken(worker="main", budget="wall", limit="1s", seen="9.9s")
    over = msgspec.structs.replace(end, exit_status=OVER_BUDGET)
    runs.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in (*before, broken, over)))
    said = merge("passes/1", "passes/2", "--summary", "summary.md", status=OVER_BUDGET)
    assert "budget broken: wall 9.9s, limit 1s" in said
    assert "The build is over budget" in Path("summary.md").read_text()


def test_a_missing_shard_is_not_passed_over(merge: Slipstream, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    said = merge("passes/2", status=2)
    assert "problem: missing: shard 1/2\n" in said
    assert "problem: ran on no machine: " in said
    assert Path("summary.md").read_text().startswith("before\n## The build is not whole\n")


def test_shards_that_collected_other_tests_are_found_by_their_digests(merge: Slipstream):
    said = merge("passes/1", "fails/2", status=2)
    assert "problem: the shards were not split alike: digest " in said
    assert "collected by shard 2/2 and not by shard 1/2: 1 tests: test_it.py::test_fails\n" in said


def test_a_shard_that_ran_again_replaces_all_that_it_left_before(merge: Slipstream):
    shutil.copytree("passes/2", "passes/2-first")
    said = merge("passes/2-first", "passes/1", "passes/2")
    assert "note: shard 2/2 ran again later; passes/2-first/" in said
    assert "7 tests, 0 failed, 1 skipped" in said


def test_a_machine_that_was_killed_did_not_end(merge: Slipstream):
    (events,) = Path("passes/2").rglob("events-main.jsonl")
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert "problem: shard 2/2 did not end" in merge("passes/1", "passes/2", status=2)


def test_what_one_machine_lacks_is_a_problem(merge: Slipstream):
    Path("passes/2/junit.xml").unlink()
    said = merge("passes/1", "passes/2", status=2)
    assert "problem: passes/2 holds no JUnit file, and others do\n" in said
    shutil.rmtree("passes/2/.slipstream")
    said = merge("passes/1", "passes/2", status=2)
    assert "problem: passes/2 holds no run record\n" in said


def test_an_empty_junit_file_is_named_and_the_rest_is_merged(merge: Slipstream):
    for number in (1, 2):
        Path(f"passes/{number}/junit.xml").write_bytes(b"")
        status = 2 if number == 1 else 0
        said = merge("passes/1", "passes/2", status=status)
        assert f"note: passes/{number}/junit.xml is empty, and names no test\n" in said
        assert ("passes/1 holds no JUnit file, and others do" in said) == (status == 2)


def test_a_test_that_failed_on_two_lanes_failed_twice(merge: Slipstream, left: Path):
    for number in (1, 2):
        shutil.copytree(f"fails/{number}", f"other/{number}")
        (file,) = Path(f"other/{number}").rglob("events-main.jsonl")
        file.write_bytes(file.read_bytes().replace(b'{"fast":[]}', b'{"real":["mysql"]}'))
    said = merge(*(f"{lane}/{n}" for lane in ("fails", "other") for n in (1, 2)), status=1)
    assert "16 tests, 2 failed, 2 skipped" in said
    assert "failed: test_it::test_fails (Python 3" in said
    assert "failed: test_it::test_fails (real, Python 3" in said


@pytest.mark.parametrize(
    ("broken", "size"),
    [
        *(("junit.xml", size) for size in (40, -20)),
        *(("events-main.jsonl", size) for size in (0, 40, -20)),
        *(("durations.1-of-2.json", size) for size in (0, 40, -20)),
    ],
)
def test_a_file_that_cannot_be_read_leaves_what_was_merged_before(
    merge: Slipstream, broken: str, size: int
):
    merge("passes/1", "passes/2")
    merged = Path(".slipstream/merged")
    before = {path.name: path.read_bytes() for path in merged.iterdir()}
    (file,) = Path("passes/1").rglob(broken)
    ends = b"\n" if broken == "events-main.jsonl" else b""  # there, half a line may be the last
    file.write_bytes(file.read_bytes()[:size] + ends)
    said = merge("passes/1", "passes/2", status=1)
    assert said.startswith("error: the ")
    assert "hint: " in said
    assert {path.name: path.read_bytes() for path in merged.iterdir()} == before
    assert [path.name for path in merged.parent.iterdir()] == ["merged"]


def test_files_of_others_are_left_alone(merge: Slipstream):
    Path("passes/1/coverage.xml").write_text("<?xml version='1.0'?>\n<coverage/>")
    Path("passes/1/.coveragerc").write_text("[run]\n")
    Path("passes/1/pom.xml").write_text(f"<!-- {2000 * 'license '}--><project/>")
    Path("passes/1/gone.xml").symlink_to("nowhere")
    os.mkfifo("passes/1/pipe.xml")
    assert "exit status 0" in merge("passes/1", "passes/2")


def test_coverage_data_is_combined(merge: Slipstream, left: Path):
    Path("code.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    for machine, function in (("1", "one"), ("2", "two")):
        Path("call.py").write_text(f"import code\n\ncode.{function}()\n")
        data = f"--data-file=passes/{machine}/.coverage"
        _coverage("run", data, "--include=code.py", "call.py")
    merge("passes/1", "passes/2", "--output", "out")
    assert "100%" in _coverage("report", "--data-file=out/.coverage")
    Path("passes/2/.coverage").write_bytes(b"SQLite format 3\0 and no more")
    assert "error: the coverage data cannot be combined: " in merge("passes/2", status=1)


def _coverage(*arguments: str) -> str:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_coverage_data_without_the_package_coverage_is_an_error(
    merge: Slipstream, monkeypatch: pytest.MonkeyPatch
):
    Path("passes/1/.coverage").write_bytes(b"SQLite format 3\0")
    monkeypatch.setitem(sys.modules, "coverage", None)
    said = merge("passes/1", "passes/2", status=4)
    assert "hint: pip install coverage\n" in said
    assert not Path(".slipstream/merged").exists()


def test_a_directory_of_somebody_else_is_not_replaced(merge: Slipstream):
    kept = Path("reports/mine.txt")
    kept.parent.mkdir()
    kept.write_text("mine")
    said = merge("passes/1", "passes/2", "--output", "reports", status=4)
    assert "error: reports is there already, and was not written by slipstream merge\n" in said
    assert "hint: name another directory: --output merged\n" in said
    assert kept.read_text() == "mine"
    merge("passes/1", "passes/2", "--output", "merged")
    merge("passes", "--output", "merged")


def test_a_directory_within_another_would_count_twice(merge: Slipstream):
    for directories in (("passes", "passes/1"), ("passes/1", "passes/../passes/1")):
        said = merge(*directories, status=4)
        assert "is given twice, or lies in passes" in said
        assert "hint: name a directory for each machine: slipstream merge shards/*\n" in said


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("nowhere", "there is no directory nowhere\nhint: name a directory for each machine"),
        ("empty", "there is no run record in empty\nhint: a machine leaves it in .slipstream/runs"),
    ],
)
def test_what_bad_input_gets(merge: Slipstream, directory: str, said: str):
    Path("empty").mkdir()
    assert said in merge(directory, status=1)
