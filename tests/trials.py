"""Runs of the same tests in sequence and in flight together, and all that reporters were told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

TRIALS = Path(__file__).parent / "integration" / "concurrent" / "trials"
CONFIGURATION = """
[tool.slipstream]
{slipstream}
[tool.pytest.ini_options]
asyncio_default_fixture_loop_scope = "session"
asyncio_default_test_loop_scope = "session"
{pytest}
"""


class Run:
    """What came of one run."""

    def __init__(self, done: subprocess.CompletedProcess[str], directory: Path) -> None:
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        record = directory / "record.json"
        text = record.read_text() if record.exists() else "[]"
        self.record: list[dict[str, Any]] = json.loads(text)
        runs = sorted((directory / ".slipstream" / "runs").glob("*/events-main.jsonl"))
        self.events = [json.loads(line) for path in runs for line in path.read_text().splitlines()]

    def told(self, *left_out: str) -> dict[str, list[dict[str, Any]]]:
        """All that was told of each test, in order, without what differs from run to run."""
        tests = defaultdict(list)
        for entry in self.record:
            tests[entry["test"]].append(
                {key: entry[key] for key in entry if key not in ("duration", *left_out)}
            )
        return dict(tests)

    def outcomes(self) -> dict[str, str]:
        """The outcome of each test, in words."""
        worst = {}
        for entry in self.record:
            if entry["kind"] == "warning":
                continue
            word = entry["outcome"] + (" as expected" if entry["wasxfail"] is not None else "")
            if entry["when"] == "call" or entry["outcome"] != "passed":
                worst[entry["test"]] = word
        return worst

    def together(self) -> set[str]:
        """The tests that were in flight with others."""
        return {e["node_id"] for e in self.events if e["event"] == "AsyncTestRan" and e["together"]}


class Trial:
    """A project in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copy(TRIALS / "recording_conftest.py", directory / "conftest.py")
        self.configure()

    def configure(self, slipstream: str = "", pytest: str = "asyncio_mode = 'auto'") -> None:
        text = CONFIGURATION.format(slipstream=slipstream, pytest=pytest)
        (self.directory / "pyproject.toml").write_text(text)

    def add(self, name: str, text: str | None = None) -> None:
        """A test file of `TRIALS`, or one with this text."""
        target = self.directory / f"test_{name}.py"
        target.write_text((TRIALS / f"{name}.py").read_text() if text is None else text)

    def command(self, *arguments: str, concurrency: int | None = None) -> list[str]:
        together = [f"--slipstream-concurrency={concurrency}"] if concurrency is not None else []
        return [sys.executable, "-m", "pytest", *together, *arguments]

    def environment(self) -> dict[str, str]:
        inherited = {  # but not which of pytest-xdist's workers the tests themselves run on
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")
        }
        return {**inherited, "TRIAL_RECORD": str(self.directory / "record.json")}

    def run(self, *arguments: str, concurrency: int | None = None) -> Run:
        (self.directory / "record.json").unlink(missing_ok=True)
        shutil.rmtree(self.directory / ".slipstream", ignore_errors=True)
        done = subprocess.run(
            self.command(*arguments, concurrency=concurrency),
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
        return Run(done, self.directory)
