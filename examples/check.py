"""Runs every example: the half with slipstream in three ways, the hand-written half as it is and,
where there is a directory `unchanged`, with the switches that make it faster.

CI runs this. It fails when a run does, when the two halves do not run the same tests, or when an
example falls behind half of the ratio it promises: one run of each on a shared machine says no
more. The benchmarks hold it to the whole.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from typing import NamedTuple

from examples.halves import Outcome, run
from examples.server import empty_database, environment, has_mysql

AFTER = {
    "after": (),
    "after, two workers": ("-n", "2"),
    "after, audited": ("--slipstream-audit",),
}
# The hand-written halves that take most of a minute.
SLICE = {
    "event_system": ("-k", "test_orders"),
    "fastapi_roles": ("-k", "test_comments or test_audit"),
    "fastapi_sqlmodel": ("-k", "test_orders"),
    "flask_peewee": ("-k", "test_reviews or test_audit"),
}


class Example(NamedTuple):
    """An example: its number of tests, and how many times slower its hand-written half must be.

    ``way`` is the way of `AFTER` that it is compared with. ``own`` is how many tests the half with
    slipstream has besides; ``lanes`` chooses lanes. ``unchanged`` is how many times slower the
    hand-written half must be than itself with the switch, where there is such a directory.
    """

    name: str
    tests: int
    slower: float
    way: str = "after"
    own: int = 0
    lanes: tuple[str, ...] = ()
    unchanged: float = 0.0


EXAMPLES = (
    Example("fastapi_sqlmodel", 113, 1.0, own=13, unchanged=4.5)
    if has_mysql(os.environ)
    else Example("fastapi_sqlmodel", 113, 1.0, own=2, lanes=("--lane", "fast"), unchanged=4.5),
    Example("fastapi_roles", 236, 10.0, unchanged=5.0),
    Example("flask_peewee", 316, 10.0, "after, two workers", unchanged=5.0),
    Example("event_system", 26, 5.0),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="examples/run", description=__doc__)
    parser.add_argument(
        "--slice", action="store_true", help="a slice of the slow hand-written half (-k)"
    )
    options = parser.parse_args(arguments)
    problems: list[str] = []
    with ExitStack() as stack:
        address = stack.enter_context(empty_database())
        for example in EXAMPLES:
            problems += check(example, environment(address), sliced=options.slice)
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def check(example: Example, server: dict[str, str], *, sliced: bool) -> list[str]:
    """Run an example in every way; what is wrong with it."""
    problems: list[str] = []

    def observe(way: str, outcome: Outcome, tests: int | None) -> None:
        print(
            f"{example.name}, {way}: {outcome.passed} passed, {outcome.tests_s:.2f} s "
            f"({outcome.wall_s:.2f} s with start)",
            flush=True,
        )
        if outcome.status or (tests is not None and outcome.passed != tests):
            problems.append(f"{example.name}, {way}: {tests or 'all'} tests should pass")
            print(outcome.output)

    after = {
        way: run(example.name, "after", *example.lanes, *options, environment={})
        for way, options in AFTER.items()
    }
    for way, outcome in after.items():
        observe(way, outcome, example.tests + example.own)
    slice_options = SLICE.get(example.name, ()) if sliced else ()
    before = run(example.name, "before", *slice_options, environment=server)
    observe("before", before, None if slice_options else example.tests)
    if example.unchanged:
        unchanged = run(example.name, "unchanged", *slice_options, environment=server)
        observe("unchanged", unchanged, before.passed)
        slower = before.tests_s / unchanged.tests_s
        print(f"{example.name}: {slower:.1f} times slower without the switch", flush=True)
        if slower < example.unchanged / 2:
            problems.append(
                f"{example.name}: should be {example.unchanged:g} times slower without the switch"
            )
    if not problems and not slice_options:
        slower = before.tests_s / after[example.way].tests_s
        print(f"{example.name}: {slower:.1f} times slower before", flush=True)
        if slower < example.slower / 2:
            problems.append(f"{example.name}: before should be {example.slower:g} times slower")
    return problems


if __name__ == "__main__":
    sys.exit(main())
