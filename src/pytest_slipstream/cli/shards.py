"""``slipstream shards``: what each CI machine would run, how many machines pay, what they cost."""

from __future__ import annotations

from collections.abc import Iterator
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
from pytest_slipstream.scheduling.price import Offer, considered, offers
from pytest_slipstream.scheduling.shards import Split, limit, split, that_pay
from pytest_slipstream.scheduling.suite import Suite

_MOST = 1000


def shards(
    count: Annotated[
        int | None, typer.Argument(help="How many shards; with --price, how many at most.")
    ] = None,
    pytest_arguments: Annotated[
        list[str] | None,
        typer.Argument(help="What pytest is to collect: paths, -k, -m, after COUNT and a --."),
    ] = None,
    start: Annotated[
        float, typer.Option(min=0, help="Seconds that a machine takes before its first test.")
    ] = 30.0,
    price: Annotated[
        bool, typer.Option("--price", help="Compare what different numbers of shards cost.")
    ] = False,
    per_minute: Annotated[
        float | None, typer.Option(min=0, help="With --price: what a minute of a machine costs.")
    ] = None,
    whole_minutes: Annotated[
        bool,
        typer.Option(
            "--whole-minutes", help="With --price: each machine is billed by minutes begun."
        ),
    ] = False,
) -> None:
    """Print what each of COUNT shards would run, as `pytest --shard` splits the suite."""
    if count is None and not price:
        raise ConfigurationError(
            "the number of shards is missing",
            hint="slipstream shards 8, or slipstream shards --price",
        )
    if count is not None and not 1 <= count <= _MOST:
        raise ConfigurationError(f"the number of shards is {count}, and must be 1 to {_MOST}")
    if not price and (per_minute is not None or whole_minutes):
        raise ConfigurationError(
            "--per-minute and --whole-minutes say how machines are billed, and without --price "
            "nothing is",
            hint="slipstream shards --price --per-minute 0.01",
        )
    collected = collect(pytest_arguments or ())
    estimates = Estimates(history_file.read(collected.history))
    planned = suite(collected.items, estimates)
    console = Console(highlight=False, soft_wrap=True)
    pays = that_pay(planned, start)
    if price:
        numbers = considered(count or 2 * pays)
        console.print(
            _prices(list(offers(planned, numbers, start, whole_minutes=whole_minutes)), per_minute)
        )
    elif count is not None:
        found = split(planned, count)
        console.print(_table(found))
        for line in _described(planned, found):
            console.print(line, markup=False)
    console.print(
        f"shards that still pay: {pays}, where a machine takes {duration(start)} to start"
    )
    if unknown := sum(not estimates.knows(test.node_id) for test in planned.tests):
        console.print(f"{unknown} tests are not in {collected.history}, and guessed", markup=False)


def _table(found: Split) -> Table:
    table = Table("shard", "tests", "predicted")
    for number, (tests, seconds) in enumerate(zip(found.shards, found.seconds, strict=True), 1):
        table.add_row(f"{number}/{len(found.shards)}", str(len(tests)), duration(seconds))
    return table


def _described(planned: Suite, found: Split) -> Iterator[str]:
    longest, longest_s = planned.longest()
    yield f"in one: {duration(planned.total_s)}, {len(planned.tests)} tests; digest {found.digest}"
    yield f"longest test: {duration(longest_s)}, {longest.node_id if longest else 'none'}"
    bound = duration(planned.lower_bound(len(found.shards)))
    yield f"longest shard: {duration(max(found.seconds))}; no split is faster than {bound}"
    yield f"limited by {limit(planned, found)}"


def _prices(offered: list[Offer], per_minute: float | None) -> Table:
    """What each number of shards costs; the last column in money, where its price is known."""
    cost = 1.0 if per_minute is None else per_minute
    table = Table("shards", "waiting", "machine-minutes", title="what a build costs")
    if per_minute is not None:
        table.add_column("price")
    table.add_column("a minute less costs")
    before = offered[0]
    for offer in offered:
        more = offer.for_a_minute_less(before)
        figures = [str(offer.shards), duration(offer.waiting_s), f"{offer.machine_s / 60:.1f}"]
        if per_minute is not None:
            figures.append(f"{offer.machine_s / 60 * per_minute:.4g}")
        if offer is before:
            figures.append("")
        else:
            figures.append("no minute less" if more is None else f"{more * cost:.3g}")
        table.add_row(*figures)
        if more is not None:
            before = offer  # what saves nothing is nobody's choice, and no measure
    return table
