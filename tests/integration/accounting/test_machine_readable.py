"""JUnit and CTRF files say of a test what they say without slipstream, however it was run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

TESTS = """
    import asyncio
    import logging
    import warnings

    import pytest

    @pytest.fixture
    def breaks():
        raise RuntimeError("cannot be set up")

    @pytest.fixture
    def breaks_after():
        yield
        raise RuntimeError("cannot be torn down")

    def test_passes(record_property):
        record_property("ticket", "A-1")
        print("said <aloud> & \\x07")

    @pytest.mark.parametrize("word", ["a", "b]c", "ü"])
    async def test_waits(word):
        await asyncio.sleep(0.01)
        logging.getLogger("app").warning("logged %s", word)
        assert word != "b]c", "no brackets"

    @pytest.mark.skip(reason="not today")
    async def test_skipped():
        pass

    class TestMore:
        @pytest.mark.xfail(reason="known", strict=True)
        async def test_expected(self):
            print("printed by", self.test_expected.__name__)
            await asyncio.sleep(0.01)
            raise ValueError

        def test_set_up(self, breaks):
            pass

        def test_set_up_elsewhere(self, breaks_elsewhere):
            pass

        async def test_torn_down(self, breaks_after):
            pass
"""
CONFTEST = """
import pytest

@pytest.fixture
def breaks_elsewhere():
    raise RuntimeError("cannot be set up either")
"""
WAYS = {
    "workers": ("--workers=2",),
    "spawned": ("--workers=2", "--workers-start=spawn"),
    "concurrent": ("--slipstream-concurrency=8",),
    "concurrent on workers": ("--workers=2", "--slipstream-concurrency=8"),
}
OPTIONS = """
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
junit_logging = "all"
junit_family = "xunit1"
filterwarnings = ["error"]
"""


def written(directory: Path, *options: str) -> tuple[ET.Element, dict[str, Any]]:
    """The files of one run."""
    plugins = ("-p", "slipstream", "-p", "pytest_asyncio.plugin", "-p", "ctrf.main")
    junit, ctrf = directory / "junit.xml", directory / "ctrf.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *options]
    done = subprocess.run(
        [*command, f"--junitxml={junit}", f"--ctrf={ctrf}"],
        cwd=directory,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    read = ET.parse(junit).getroot(), json.loads(ctrf.read_text())
    junit.unlink()
    ctrf.unlink()
    return read


def compared(text: str) -> str:
    """Without addresses, and without the line with which pytest says which worker it was."""
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    return re.sub(r"\[gw\d\] .* -- Python .*\n\s*", "", text).strip()


def cases(root: ET.Element) -> dict[tuple[str, str], list[tuple[str, dict[str, str], str]]]:
    """What a JUnit file says of each test; a test with an error in its teardown is there twice."""
    found: dict[tuple[str, str], list[tuple[str, dict[str, str], str]]] = {}
    for case in root.iter("testcase"):
        key = case.attrib["classname"], case.attrib["name"]
        assert float(case.attrib["time"]) >= 0
        for one in case.iter():
            attributes = {name: value for name, value in one.attrib.items() if name != "time"}
            text = compared(one.text or "")
            found.setdefault(key, []).append((one.tag, attributes, text))
    return found


def results(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a CTRF file says of each test."""
    kept = ("status", "rawStatus", "message", "suite", "filePath", "parameters", "trace")
    return {
        test["name"]: {key: compared(str(test.get(key))) for key in kept}
        for test in report["results"]["tests"]
    }


def test_files_are_those_of_a_run_without_slipstream(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(OPTIONS)
    (tmp_path / "test_it.py").write_text(re.sub("(?m)^    ", "", TESTS).lstrip())
    (tmp_path / "conftest.py").write_text(CONFTEST)
    junit, ctrf = written(tmp_path)
    assert len(results(ctrf)) == 9
    for way, options in WAYS.items():
        own_junit, own_ctrf = written(tmp_path, *options)
        assert cases(own_junit) == cases(junit), way
        for total in ("tests", "failures", "errors", "skipped"):
            assert own_junit[0].attrib[total] == junit[0].attrib[total], way
        assert results(own_ctrf) == results(ctrf), way
        counts = ("tests", "passed", "failed", "skipped", "pending", "other")
        summary, expected = own_ctrf["results"]["summary"], ctrf["results"]["summary"]
        assert [summary[key] for key in counts] == [expected[key] for key in counts], way
        assert all(test["stop"] >= test["start"] > 0 for test in own_ctrf["results"]["tests"])
