"""``slipstream demo``: real runs of the packaged suite, and what happens when they go wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pytest_slipstream.cli.demo import _passed
from pytest_slipstream.cli.demo_runs import Suite
from pytest_slipstream.errors import SlipstreamError

SECONDS = r"[\d.]+ s\W+[\d.]+ s\W+[\d.]+"


@pytest.mark.parametrize(("engine", "title"), [("sqlite", "SQLite"), ("postgresql", "PostgreSQL")])
def test_the_demo_runs_both_ways_and_compares(request, slipstream, engine, title):
    if engine == "postgresql":
        request.getfixturevalue("require_servers")
    done = slipstream("demo", "--engine", engine, "--tests", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{title}, whole run\W+6\W+{SECONDS}", done.stdout)
    assert re.search(r"each test\W+[\d.]+ ms\W+[\d.]+ ms\W+[\d.]+", done.stdout)
    assert "6 tests ran once more with --slipstream-audit" in " ".join(done.stdout.split())
    assert re.search(rf"took slipstream [\d.]+ ms on {title}", done.stdout)
    assert f'engine = "{engine}"' in done.stdout
    assert "slipstream init" in done.stdout
    listed = slipstream("db", "list").stdout
    assert "template" in listed
    assert "slot" not in listed
    assert "build" not in listed


def test_the_suite_has_200_tests(tmp_path):
    assert len(Suite(tmp_path, "sqlite").collect()) == 200


def test_a_failing_test_fails_the_demo(tmp_path, environ):
    suite = Suite(tmp_path, "sqlite")
    test = suite.directory / "tests" / "test_support.py"
    test.write_text(test.read_text("utf-8").replace("== count", "== count + 1"), encoding="utf-8")
    suite.adopt_slipstream()
    seen: list[None] = []
    run = suite.run(["tests/test_support.py"], lambda: seen.append(None), environ=environ)
    assert run.exit_code == 1
    assert run.results == len(seen) == 26
    with pytest.raises(SlipstreamError, match="exit code 1") as caught:
        _passed(run, 26)
    assert "test_every_message_is_kept" in caught.value.message


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_ctrl_c_ends_the_demo_and_leaves_nothing(
    request, tmp_path, environ, command, slipstream, engine
):
    if engine == "postgresql":
        request.getfixturevalue("require_servers")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    demo = subprocess.Popen(
        [*command, "demo", "--engine", engine],
        env=environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: any(temporary.glob(f"slipstream-demo-*/{engine}/tests.txt")), demo)
        os.killpg(demo.pid, signal.SIGINT)
        output, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode not in (0, None)
    assert "Traceback" not in output
    assert list(temporary.glob("slipstream-demo-*")) == []
    listed = slipstream("db", "list").stdout
    assert "slipstream_" not in listed
    assert ("stopped" in listed) == (engine == "postgresql")


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the demo ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_sqlalchemy_the_demo_names_the_extra(slipstream, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nsys.modules['sqlalchemy'] = None\n", encoding="utf-8"
    )
    done = slipstream("demo", PYTHONPATH=str(hidden))
    assert done.returncode == 4
    assert 'hint: pip install "pytest-slipstream[demo]"' in done.stderr


def test_the_demo_s_files_are_packaged(tmp_path: Path):
    names = {path.name for path in Suite(tmp_path, "sqlite").directory.iterdir()}
    assert names == {"conftest.py", "pyproject.toml", "shop", "tests"}
