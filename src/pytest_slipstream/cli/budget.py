"""``slipstream budget``: the allowances of tests that are over their budget."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from pytest_slipstream.cli.newest_run import newest_run, read_run
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.measure import allowances
from pytest_slipstream.measure.budget import observed, over, ratcheted
from pytest_slipstream.settings import load

budget = typer.Typer(help="Budgets: what the tests may take.", no_args_is_help=True)


@budget.callback()
def _budget() -> None:
    """Budgets: what the tests may take."""


@budget.command()
def update() -> None:
    """Take the newest run as the allowances of tests over their budget: less than before, or gone.

    The first time, each of them gets one. Afterwards none is added, and none grows.
    """
    here = Path.cwd()
    configured = load(here, {}, os.environ).budget
    if not configured.test and not configured.tests:
        raise ConfigurationError(
            "no test has a budget of time",
            hint='write test = "1s" into [tool.slipstream.budget]',
        )
    run = observed(read_run(newest_run(here)))
    before = allowances.read(here)
    after = ratcheted(before, over(configured, run), run.tests.keys())
    path = allowances.write(here, after)
    gone = len((before or {}).keys() - after.keys())
    typer.echo(f"{len(after)} tests have an allowance, {gone} need none any more: {path}")
