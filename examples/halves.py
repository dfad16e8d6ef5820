"""Runs one half of an example by pytest, in a process of its own, and says how it went."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

EXAMPLES = Path(__file__).parent
# Only what the examples need: what else is installed here must not count in their seconds.
PLUGINS = {
    "event_system": ("asyncio", "xdist"),
    "fastapi_roles": ("asyncio", "xdist"),
    "fastapi_sqlmodel": ("xdist",),
    "flask_peewee": ("xdist",),
}
SLIPSTREAM = "slipstream"


class Outcome(NamedTuple):
    """How one run of pytest went.

    ``wall_s`` is the life of the whole process, imports included; ``tests_s`` is what pytest
    prints at the end.
    """

    passed: int
    status: int
    wall_s: float
    tests_s: float
    output: str


def run(example: str, half: str, *options: str, environment: dict[str, str]) -> Outcome:
    """Run a half.

    Args:
        example: The example's directory.
        half: ``before``, ``after``, or ``unchanged``: the first with a switch only.
        options: For pytest.
        environment: Added to this process's.
    """
    plugins = PLUGINS[example] + ((SLIPSTREAM,) if half != "before" else ())
    command = [sys.executable, "-m", "pytest", "--color=no"]
    command += [word for plugin in plugins for word in ("-p", plugin)]
    command += [*options, half]
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("PYTEST_")}
    # A second run finds its modules compiled, as on a developer's machine.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    finished = subprocess.run(
        command,
        cwd=EXAMPLES / example,
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wall_s = time.perf_counter() - started
    output = finished.stdout
    passed = re.search(r"(\d+) passed", output)
    tests_s = re.search(r" in ([\d.]+)s", output)
    return Outcome(
        passed=int(passed[1]) if passed else 0,
        status=finished.returncode,
        wall_s=wall_s,
        tests_s=float(tests_s[1]) if tests_s else 0.0,
        output=output,
    )
