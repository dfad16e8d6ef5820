"""``slipstream shards``: what each CI machine would run, and how many machines pay."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pytest_slipstream.cli.collecting import collect
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.running.collected import suite
from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.estimates import Estimates
from pytest_slipstream.scheduling.prediction import duration
from pytest_slipstream.scheduling.shards import limit, split, that_pay


def shards(
    count: Annotated[int, typer.Argument(help="How many shards.")],
    pytest_arguments: Annotated[
        list[str] | None,
        typer.Argument(help="What pytest is to collect: paths, -k, -m, after a --."),
    ] = None,
    start: Annotated[
        float, typer.Option(help="Seconds that a machine takes before its first test.")
    ] = 30.0,
) -> None:
    """Print what each of COUNT shards would run, as `pytest --shard` splits the suite."""
    if count < 1:
        raise ConfigurationError(f"the number of shards is {count}, and must be 1 at least")
    collected = collect(pytest_arguments or ())
    estimates = Estimates(history_file.read(collected.history))
    planned = suite(collected.items, estimates)
    found = split(planned, count)
    console = Console(highlight=False, soft_wrap=True)
    table = Table("shard", "tests", "predicted")
    for number, (tests, seconds) in enumerate(zip(found.shards, found.seconds, strict=True), 1):
        table.add_row(f"{number}/{count}", str(len(tests)), duration(seconds))
    console.print(table)
    longest, longest_s = planned.longest()
    lines = [
        f"in one: {duration(planned.total_s)}, {len(planned.tests)} tests; digest {found.digest}",
        f"longest test: {duration(longest_s)}, {longest.node_id if longest else 'none'}",
        f"longest shard: {duration(max(found.seconds))}; "
        f"no split is faster than {duration(planned.lower_bound(count))}",
        f"limited by {limit(planned, found)}",
        f"shards that still pay: {that_pay(planned, start)}, where a machine takes "
        f"{duration(start)} to start",
    ]
    if unknown := sum(not estimates.knows(test.node_id) for test in planned.tests):
        lines.append(f"{unknown} tests are not in {collected.history}, and guessed")
    for line in lines:
        console.print(line, markup=False)
