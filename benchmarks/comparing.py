"""How often ``slipstream compare`` calls one and the same command faster or slower than itself."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import Findings, Target
from benchmarks.processes import CPU_TESTS, project
from pytest_slipstream.measure import sides
from pytest_slipstream.measure.comparability import differences
from pytest_slipstream.measure.measuring import measure
from pytest_slipstream.measure.timetable import timetable
from pytest_slipstream.measure.verdicts import Verdict, judge

PAIRS = 8
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def with_itself(repetitions: int) -> Findings:
    """A/A comparisons, one after the other, of a suite that computes."""
    with TemporaryDirectory() as directory:
        suite = project(Path(directory, "suite"), CPU_TESTS.format(count=100), None)
        verdicts = [_compare(suite) for _ in range(repetitions)]
    words = Counter(verdict.word for verdict in verdicts)
    called = words["faster"] + words["slower"]
    share = 100 * called / repetitions
    text = f"A/A comparisons of {PAIRS} pairs called faster or slower: {called} of {repetitions}"
    return Findings((), (Target(text, share, 5.0, "%"),))


def _compare(suite: Path) -> Verdict:
    environ = {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST_")}
    side = sides.working_copy(sides.Project(directory=suite, environ=environ | ALONE))
    turns = timetable(2, warmup=1, runs=PAIRS)
    both = measure([side, side], turns, limit_s=600.0, show=lambda turn, remaining_s: None)
    verdict = judge(*both, differences(*both))
    print(
        f"{verdict.word}: {verdict.effect:.1%}, A/A {verdict.control:.1%}, p {verdict.p_value:.2g}",
        flush=True,
    )
    return verdict
