"""The pytest runs of ``slipstream demo``: real child processes on a copy of the demo's suite.

The invariant: both ways run the same tests, on the same server, in the same order and with the
same pytest plugins (none but slipstream); every figure was measured by a clock in this process.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from pytest_slipstream import events, record

SUITE = Path(__file__).with_name("demo_suite")
HAND_WRITTEN = "conftest.py"
_RESULT = re.compile(r"^tests/\S.* (PASSED|FAILED|ERROR)\b")
_PATIENCE_S = 10.0

CONFIGURATION = """
[tool.slipstream.databases.demo]
engine = "{engine}"
schema = "shop.models:Base.metadata"
seed = "shop.seed:seed"
env = {{ DATABASE_URL = "{{url}}" }}
"""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One pytest run.

    ``seconds`` is the whole process. ``seconds_a_test`` is the mean time between two results, so
    that it has in it all that is done around a test, but not pytest's start. ``cleaning_s`` is the
    median of what slipstream recorded for making a slot clean; 0.0 without slipstream.
    """

    exit_code: int
    results: int
    seconds: float
    seconds_a_test: float
    cleaning_s: float
    output: str


def mean_interval(at: Sequence[float]) -> float:
    """Mean seconds between results that came at these times; 0.0 for fewer than two."""
    return (at[-1] - at[0]) / (len(at) - 1) if len(at) > 1 else 0.0


def median_cleaning(rootdir: Path) -> float:
    """Median seconds of making a slot clean, from the project's newest run record; 0.0 if none."""
    runs = (rootdir / ".slipstream" / "runs").glob("*")
    newest = max(runs, key=lambda run: run.stat().st_mtime_ns, default=None)
    recorded = record.read(newest) if newest else []
    seconds = [event.seconds for event in recorded if isinstance(event, events.TestCleaned)]
    return statistics.median(seconds) if seconds else 0.0


def evenly(tests: Sequence[str], wanted: int) -> list[str]:
    """``wanted`` of the tests, in order and from all over the suite; all if there are fewer."""
    if wanted >= len(tests):
        return list(tests)
    return [tests[i * len(tests) // wanted] for i in range(wanted)]


class Suite:
    """A copy of the demo's suite, first with its hand-written fixture, then with slipstream."""

    def __init__(self, directory: Path, engine: str) -> None:
        self.directory = directory / engine
        self._engine = engine
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(SUITE, self.directory, ignore=ignored)

    def adopt_slipstream(self) -> None:
        """Do what a user does: delete the fixture, add a table to ``pyproject.toml``."""
        (self.directory / HAND_WRITTEN).unlink()
        with (self.directory / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(engine=self._engine))

    def collect(self) -> list[str]:
        """The node ids of all tests."""
        listed = subprocess.run(
            [*_pytest("no:slipstream"), "--collect-only", "--quiet"],
            cwd=self.directory,
            env=_environment(DATABASE_URL="sqlite://"),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [line for line in listed.stdout.splitlines() if "::" in line]

    def run(
        self,
        tests: Sequence[str],
        on_result: Callable[[], None],
        *,
        url: str | None = None,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Measured:
        """Run tests.

        Args:
            tests: Node ids.
            on_result: Called after each test.
            url: The database of the hand-written fixture; None runs with slipstream.
            options: More of pytest's options.
            environ: More environment variables.
        """
        chosen = self.directory / "tests.txt"
        chosen.write_text("\n".join(tests), encoding="utf-8")
        plugin = "slipstream" if url is None else "no:slipstream"
        variables = dict(environ or {}) | ({} if url is None else {"DATABASE_URL": url})
        start = time.perf_counter()
        process = subprocess.Popen(
            [*_pytest(plugin), "--verbose", "--tb=short", *options, f"@{chosen}"],
            cwd=self.directory,
            env=_environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines, at = _follow(process, on_result)
        return Measured(
            exit_code=process.returncode,
            results=len(at),
            seconds=time.perf_counter() - start,
            seconds_a_test=mean_interval(at),
            cleaning_s=median_cleaning(self.directory) if url is None else 0.0,
            output="".join(lines),
        )


def _follow(
    process: subprocess.Popen[str], on_result: Callable[[], None]
) -> tuple[list[str], list[float]]:
    """Read the run's lines until it ends; also when the user presses Ctrl-C, which it gets too."""
    assert process.stdout is not None
    lines, at = [], []
    try:
        for line in process.stdout:
            lines.append(line)
            if _RESULT.match(line):
                at.append(time.perf_counter())
                on_result()
        process.wait()
    except BaseException:
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    finally:
        process.stdout.close()
    return lines, at


def _pytest(plugin: str) -> list[str]:
    no_cache = ["-p", "no:cacheprovider"]
    return [sys.executable, "-m", "pytest", "-p", plugin, *no_cache, "--color=no"]


def _environment(**variables: str) -> dict[str, str]:
    """This process's, without what would make the two ways differ from what is shown."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLIPSTREAM_", "PYTEST_")) and name != "DATABASE_URL"
    }
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1"}
    return kept | alone | {"PYTHONIOENCODING": "utf-8"} | variables
