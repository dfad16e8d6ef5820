"""Contenders, taken in turns, and what a group of them found.

The invariant: contenders that are compared run in the same process and alternate, so that a
machine that slows down slows all of them down.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import median
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """A way to give a test a clean database.

    Args:
        name: As it stands in the table.
        isolated: What the fixture does: before the test on entry, after it on exit. It yields
            what the body works with.
        body: The test.
        each_round: Tests in a round; slow contenders take one.
    """

    name: str
    isolated: Callable[[], AbstractContextManager[Any]]
    body: Callable[[Any], None]
    each_round: int = 1


class Cost(NamedTuple):
    """Seconds of one test: all of it, and its fixture's part alone."""

    whole_s: float
    isolation_s: float


class Row(NamedTuple):
    """A line of the table: medians over ``runs`` tests or processes."""

    group: str
    name: str
    whole_s: float
    isolation_s: float | None
    runs: int


class Target(NamedTuple):
    """What the product promises: ``value`` at most ``limit``, or at least where ``at_least``."""

    text: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Findings(NamedTuple):
    """What a group of measurements found."""

    rows: tuple[Row, ...] = ()
    targets: tuple[Target, ...] = ()

    def on(self, product: str) -> Findings:
        """The same, where texts say MariaDB and the server is another product."""
        return Findings(
            tuple(
                row._replace(
                    group=row.group.replace("MariaDB", product),
                    name=row.name.replace("MariaDB", product),
                )
                for row in self.rows
            ),
            tuple(
                target._replace(text=target.text.replace("MariaDB", product))
                for target in self.targets
            ),
        )


def one(contender: Contender) -> Cost:
    """Run one test of a contender."""
    started = time.perf_counter()
    with contender.isolated() as given:
        entered = time.perf_counter()
        contender.body(given)
        done = time.perf_counter()
    ended = time.perf_counter()
    return Cost(ended - started, (entered - started) + (ended - done))


def in_turns(contenders: Sequence[Contender], rounds: int) -> dict[str, list[Cost]]:
    """Run all contenders ``rounds`` times, each round beginning with another one."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        one(contender)
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        start = number % len(contenders)
        for contender in (*contenders[start:], *contenders[:start]):
            costs[contender.name] += [one(contender) for _ in range(contender.each_round)]
    gc.unfreeze()
    return costs


def rows(group: str, costs: dict[str, list[Cost]]) -> tuple[Row, ...]:
    """The medians of each contender."""
    return tuple(
        Row(
            group,
            name,
            median(cost.whole_s for cost in taken),
            median(cost.isolation_s for cost in taken),
            len(taken),
        )
        for name, taken in costs.items()
    )


def whole(costs: Sequence[Cost]) -> float:
    """The median of whole tests, in seconds."""
    return median(cost.whole_s for cost in costs)


def isolation(costs: Sequence[Cost]) -> float:
    """The median of the fixture's part, in seconds."""
    return median(cost.isolation_s for cost in costs)
