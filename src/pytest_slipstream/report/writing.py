"""Writes the reports that were asked for, each as its file's name says.

The invariant: a path that is wrong is an error before the run; one that cannot be written costs
the report, never a test result.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pytest_slipstream import events, garbage
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.report import github, page, past
from pytest_slipstream.report.build import GITHUB_LIMIT_BYTES, within
from pytest_slipstream.report.run import RunReport, run_report
from pytest_slipstream.report.trace import trace

GITHUB = "github"
SUFFIXES = (".html", ".json", ".md")
_AS_MANY = 0.1


def check(targets: Iterable[str]) -> None:
    """Raise what would keep a report from being written.

    Raises:
        ConfigurationError: A target is none.
        MissingExtraError: Bokeh is not installed.
    """
    for target in targets:
        if target != GITHUB and Path(target).suffix not in SUFFIXES:
            raise ConfigurationError(
                f"the report {target!r} is none: its name must end in one of "
                f"{', '.join(SUFFIXES)}, or be {GITHUB!r}",
                hint="--slipstream-report report.html",
            )
        if target.endswith(".html"):
            page.check()


@garbage.paused()
def write(
    targets: Sequence[str],
    happened: Sequence[events.AnyEvent],
    rootdir: Path,
    environ: Mapping[str, str] = os.environ,
) -> tuple[list[str], str]:
    """Write reports of a run.

    Args:
        targets: As `check` takes them; relative to ``rootdir``.
        happened: The run record's events.
        rootdir: Also where past runs are.
        environ: Where GitHub says which file takes the summary.

    Returns:
        What went wrong, and what is to be printed for GitHub to find.
    """
    run = run_report(happened)
    problems, printed = [], ""
    for target in targets:
        try:
            if target == GITHUB:
                printed += github.commands(run)
                _add_summary(github.summary(run), environ.get("GITHUB_STEP_SUMMARY"))
            else:
                _write(rootdir / target, run, rootdir)
        except Exception as error:  # noqa: BLE001 - whatever charts raise costs the report alone
            problems.append(f"the report {target} is not written: {error}")
    return problems, printed


def _write(path: Path, run: RunReport, rootdir: Path) -> None:
    if path.suffix == ".html":
        content = page.page(run, _walls(rootdir, run)).encode(errors="backslashreplace")
    elif path.suffix == ".json":
        content = trace(run)
    else:
        content = github.summary(run).encode(errors="backslashreplace")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _walls(rootdir: Path, run: RunReport) -> list[float]:
    """Of the runs of about as many tests: a selection says nothing of the suite."""
    count = len(run.tests)
    runs = [
        one for one in past.read(rootdir) if abs(len(one.tests) - count) <= _AS_MANY * max(1, count)
    ]
    return [one.seconds for one in runs if one.at < run.began - 1e-3] + [run.seconds]


def _add_summary(text: str, path: str | None) -> None:
    if path:
        there = Path(path).stat().st_size if Path(path).exists() else 0
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(within(text, GITHUB_LIMIT_BYTES - there))
