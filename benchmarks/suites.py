"""Whole suites: the examples as teams write them, and with slipstream."""

from __future__ import annotations

from statistics import median

from examples.check import EXAMPLES
from examples.halves import Outcome, run
from examples.server import empty_database, environment

from benchmarks import mysql
from benchmarks.measuring import Findings, Row, Target
from pytest_slipstream.databases.urls import url

WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "before": ("before", ()),
    "after": ("after", ()),
    "after, two workers": ("after", ("-n", "2")),
}


def examples(rounds: int) -> Findings:
    """All examples, before and after, in turns. Seconds are those that pytest prints."""
    rows: list[Row] = []
    targets: list[Target] = []
    with empty_database() as address:
        server = environment(address)
        for example in EXAMPLES:
            ways = {**WAYS, **({"unchanged": ("unchanged", ())} if example.unchanged else {})}
            taken: dict[str, list[Outcome]] = {way: [] for way in ways}
            succeed(run(example.name, "after", environment=server))
            for _ in range(rounds):
                for way, (half, options) in ways.items():
                    outcome = run(example.name, half, *options, environment=server)
                    taken[way].append(succeed(outcome))
            tests_s = {
                way: median(each.tests_s for each in outcomes) for way, outcomes in taken.items()
            }
            wall_s = {
                way: median(each.wall_s for each in outcomes) for way, outcomes in taken.items()
            }
            group = f"examples/{example.name}, {example.tests} tests"
            rows += [Row(group, way, tests_s[way], None, rounds) for way in ways]
            rows += [
                Row(group, f"{way}, with the process's start", wall_s[way], None, rounds)
                for way in ways
            ]
            promised = {example.way: example.slower, "unchanged": example.unchanged}
            targets += [
                Target(
                    f"examples/{example.name}: `{way}` faster than `before` in sequence",
                    tests_s["before"] / tests_s[way],
                    limit,
                    "times",
                    at_least=True,
                )
                for way, limit in promised.items()
                if limit
            ]
    return Findings(tuple(rows), tuple(targets))


CREATED = "MariaDB, create_all and drop_all by hand"
LANES: dict[str, tuple[str, tuple[str, ...]]] = {
    "SQLite": ("after", ("--lane=fast", "--no-slipstream-strict")),
    "SQLite, strict": ("after", ("--lane=fast",)),
    "MariaDB, reset": (
        "after",
        ("--lane=fast", "--no-slipstream-strict", "--slipstream-engine=mysql"),
    ),
    # `before`, but that it does not hash at full cost, which says nothing of engines.
    CREATED: ("unchanged", ("--no-slipstream-memoize",)),
}
STRICT = "fastapi_sqlmodel"
# The hand-written half has no e2e tests; one test relies on text that MariaDB takes to be equal.
FOR_ALL = ("-k", "not e2e and not TEA")


def strict(rounds: int) -> Findings:
    """One suite on SQLite, on SQLite with teeth, and on the product that it stands for."""
    taken: dict[str, list[float]] = {way: [] for way in LANES}
    with mysql.empty_database() as address:
        server = {"SHOP_TEST_DATABASE_URL": url(address)}
        product = mysql.product(address)
        for number in range(rounds + 1):
            for way, (half, options) in LANES.items():
                outcome = run(STRICT, half, *options, *FOR_ALL, environment=server)
                if number:  # the first round makes templates
                    taken[way].append(succeed(outcome).tests_s)
    tests_s = {way: median(each) for way, each in taken.items()}
    return Findings(
        tuple(
            Row(f"examples/{STRICT} on each engine", way, seconds, None, rounds)
            for way, seconds in tests_s.items()
        ),
        (
            Target(
                "strict SQLite, against SQLite as it comes",
                tests_s["SQLite, strict"] / tests_s["SQLite"],
                1.15,
                "times",
            ),
            Target(
                "strict SQLite faster than a MariaDB that is created and dropped for each test",
                tests_s[CREATED] / tests_s["SQLite, strict"],
                3,
                "times",
                at_least=True,
            ),
        ),
    ).on(product)


def succeed(outcome: Outcome) -> Outcome:
    if outcome.status:
        raise RuntimeError(f"an example failed:\n{outcome.output}")
    return outcome
