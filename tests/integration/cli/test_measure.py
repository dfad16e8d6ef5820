"""``slipstream measure``: whole measurements of tiny suites."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pytest_slipstream.measure import measurement_file
from pytest_slipstream.measure.values import Measurement

# Only what a suite needs: each plugin would be imported in every run.
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
LANES = """
[tool.slipstream.databases.main]
engine = "sqlite"
[tool.slipstream.lanes.real]
databases.main.keep_templates = 3
[tool.pytest.ini_options]
addopts = "-p pytest_slipstream.plugin"
"""
SUITE = """
import os
import subprocess
import sys

import pytest


def test_passes(): pass
def test_fails(): assert False
def test_skips(): pytest.skip()
@pytest.mark.xfail
def test_is_expected_to_fail(): assert False
@pytest.fixture
def broken(): raise OSError
def test_errs(broken): pass


def test_sees_no_trace(tmp_path):
    traces = ("SLIPSTREAM_OUTCOMES", "PYTEST_PLUGINS", "PYTHONPATH")
    assert [name for name in traces if name in os.environ] == []
    (tmp_path / "test_inner.py").write_text("def test_inner(): pass")
    subprocess.run([sys.executable, "-m", "pytest", str(tmp_path)], check=True)
"""


def only(project: Path) -> Measurement:
    """The one measurement of a project."""
    (path,) = (project / measurement_file.DIRECTORY).glob("*.json")
    return measurement_file.read(path)


def test_a_measurement(slipstream, tmp_path):
    (tmp_path / "test_it.py").write_text(SUITE)
    done = slipstream("measure", "--runs", "2", "--name", "first", "--", "-v", "test_it.py", **BARE)
    assert done.returncode == 0, done.stderr
    assert "kept as first" in done.stderr
    begun = re.findall(r"(?m)^run \d of 3: .*", done.stderr)
    assert begun[0] == "run 1 of 3: measuring, warm-up"
    assert re.fullmatch(r"run 3 of 3: measuring  .* s left", begun[2])
    measured = only(tmp_path)
    assert measured.command == "pytest -v test_it.py"
    assert (len(measured.warmup), len(measured.runs)) == (1, 2)
    assert {name.partition("::")[2]: seen for name, seen in measured.tests.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_is_expected_to_fail": "xfailed",
        "test_errs": "error",
        "test_sees_no_trace": "passed",
    }
    for run in measured.runs:
        assert run.exit_status == 1
        assert run.cpu_s > 0
        assert run.peak_bytes is not None
        assert 10e6 < run.peak_bytes < 500e6
        assert run.server_peak_bytes is None
    assert measured.software.python == sys.version.split()[0]
    assert measured.software.pytest == pytest.__version__
    assert measured.workers == 0
    assert measured.machine.processor in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| warm-up 1",
        "| 1",
        "| 2",
        "| **median**",
        "| range",
    ]
    assert "2 runs after 1 warm-up; the range is all that was seen" in done.stdout
    assert "P95" not in done.stdout


def test_lanes_servers_and_the_record_of_this_run_alone(slipstream, tmp_path):
    (tmp_path / "pyproject.toml").write_text(LANES)
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(db): pass\n@pytest.mark.real\ndef test_b(db): pass\n"
    )
    done = slipstream("measure", "--runs", "1", "--warmup", "0", **BARE)
    assert done.returncode == 0, done.stderr
    measured = only(tmp_path)
    assert measured.runs[0].composition == {"fast": {"passed": 1}, "real": {"passed": 1}}
    assert measured.software.servers.keys() == {"sqlite"}
    assert "fast: 1 passed; real: 1 passed" in done.stdout


def test_pytest_xdist_s_workers(slipstream, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.xdist_group('a@b')\n"
        "@pytest.mark.parametrize('mail', ['a@b', 'c@d'])\n"
        "def test_a(mail): pass\n"
    )
    options = ("-p", "xdist", "-n", "2", "--dist", "loadgroup")
    done = slipstream("measure", "--runs", "1", "--warmup", "0", "--", *options, **BARE)
    assert done.returncode == 0, done.stderr
    measured = only(tmp_path)
    assert measured.workers == 2
    assert measured.tests == {
        "test_it.py::test_a[a@b]": "passed",
        "test_it.py::test_a[c@d]": "passed",
    }


@pytest.mark.usefixtures("require_postgresql")
def test_the_embedded_server_s_memory_is_apart(slipstream, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.slipstream.databases.main]\nengine = "postgresql"\n'
        '[tool.pytest.ini_options]\naddopts = "-p pytest_slipstream.plugin"\n'
    )
    # The first looks of a run come soon after one another; the server must be up at one of them.
    (tmp_path / "test_it.py").write_text("import time\ndef test_a(db): time.sleep(1.5)\n")
    done = slipstream("measure", "--runs", "1", "--warmup", "0", **BARE)
    assert done.returncode == 0, done.stderr
    (run,) = only(tmp_path).runs
    assert run.server_peak_bytes is not None
    assert run.server_peak_bytes > 1e6
    assert only(tmp_path).software.servers.keys() == {"postgresql"}


ENDS: dict[str, tuple[str, str]] = {
    "does not import": ("import no_such_module", "ran no test, its exit status is 2"),
    "has no test": ("", "ran no test, its exit status is 5"),
    "ends the process": (
        "import os\ndef test_a(): pass\ndef test_b(): os._exit(7)",
        "ended with exit status 7 in the middle of its tests",
    ),
    "is interrupted": (
        "def test_a(): pass\ndef test_b(): raise KeyboardInterrupt",
        "did not run its tests to the end, pytest's exit status is 2",
    ),
    "hangs": ("import time\ndef test_a(): time.sleep(600)", "had not ended after 5 s"),
}


@pytest.mark.parametrize("suite", ENDS)
def test_a_run_that_tells_nothing_is_an_error(slipstream, tmp_path, suite):
    content, said = ENDS[suite]
    (tmp_path / "test_it.py").write_text(content)
    done = slipstream("measure", "--limit", "5" if suite == "hangs" else "100", **BARE)
    assert done.returncode == 1
    assert said in re.sub(r"\s+", " ", done.stderr)
    assert ("ran no test" in said) == ("hint: pytest tells above why" in done.stderr)
    if suite != "hangs":  # on a busy machine it may not have come that far
        assert "test session starts" in done.stderr
    assert not (tmp_path / ".slipstream").exists()


def test_megabytes_of_output(slipstream, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "def test_a():\n    for n in range(200_000): print('x' * 99)\n"
    )
    done = slipstream("measure", "--runs", "1", "--warmup", "0", "--", "-s", **BARE)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout + done.stderr) < 5_000


def test_tests_that_end_differently(slipstream, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pathlib\n"
        "note = pathlib.Path('ran')\n"
        "def test_a():\n"
        "    before = note.exists()\n"
        "    note.touch()\n"
        "    assert not before\n"
    )
    done = slipstream("measure", "--runs", "2", "--warmup", "0", **BARE)
    assert done.returncode == 0, done.stderr
    assert only(tmp_path).tests == {"test_it.py::test_a": "failed or passed"}
    assert "did not end alike in all runs" in done.stdout


def test_a_name_that_is_taken_is_refused_before_anything_runs(slipstream, tmp_path):
    path = tmp_path / ".slipstream" / "measurements" / "before.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    (tmp_path / "test_it.py").write_text("def test_a(): open('ran', 'w')\n")
    done = slipstream("measure", "--name", "before", **BARE)
    assert done.returncode == 4
    assert "there is a measurement before already" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_where_nothing_can_be_written_the_table_is_not_lost(slipstream, tmp_path):
    (tmp_path / "test_it.py").write_text("def test_a(): pass\n")
    (tmp_path / ".slipstream").write_text("in the way, also of root\n")
    done = slipstream("measure", "--runs", "1", "--warmup", "0", **BARE)
    assert done.returncode == 1
    assert "cannot be written to" in done.stderr
    assert "| **median** |" in done.stdout
