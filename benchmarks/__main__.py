"""``python -m benchmarks [--quick] [--keep] [group …]``: measure, print, keep the results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import (
    comparing,
    importing,
    in_flight,
    memoising,
    mysql,
    postgresql,
    processes,
    queueing,
    results,
    rollback,
    scheduling,
    sharding,
    sqlite,
    suites,
    waiting,
    workers,
)
from benchmarks.machine import description
from benchmarks.measuring import Findings


class Group(NamedTuple):
    """A measurement, with its rounds in full and when quick."""

    measure: Callable[[int], Findings]
    rounds: int
    quick: int


GROUPS = {
    "postgresql": Group(postgresql.strategies, 60, 10),
    "tables": Group(postgresql.sizes, 50, 10),
    "drift": Group(postgresql.drift, 5000, 500),
    "sqlite": Group(sqlite.strategies, 100, 20),
    "mysql": Group(mysql.strategies, 60, 10),
    "memoise": Group(memoising.pairs, 60, 10),
    "memoise-miss": Group(memoising.misses, 30, 5),
    "imports": Group(importing.importing, 7, 3),
    "rollback": Group(rollback.fixtures, 7, 2),
    "start": Group(processes.starting, 11, 3),
    "each-test": Group(processes.each_test, 7, 2),
    "big-seed": Group(postgresql.big_seed, 7, 3),
    "waiting": Group(waiting.waiting, 3, 1),
    "in-flight": Group(in_flight.in_flight, 3, 1),
    "examples": Group(suites.examples, 3, 1),
    "strict": Group(suites.strict, 7, 2),
    "scheduling": Group(scheduling.simulated, 1, 1),
    "shards": Group(sharding.shards, 1, 1),
    "workers": Group(workers.whole_runs, 3, 1),
    "planning": Group(scheduling.planning, 5, 2),
    "queue": Group(queueing.queue, 2000, 200),
    "compare": Group(comparing.with_itself, 40, 10),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: for a first look")
    parser.add_argument("--keep", action="store_true", help="keep what the named groups find")
    parser.add_argument("--missing", action="store_true", help="only what nothing is kept of")
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no group is called {', '.join(sorted(unknown))}: {', '.join(GROUPS)}")
    machine = description()
    kept = results.Results("quick" if options.quick else "latest", machine, tuple(GROUPS))
    names = options.groups or (kept.missing if options.missing else list(GROUPS))
    found = Findings()
    for name in names:
        group = GROUPS[name]
        print(f"measuring {name}", file=sys.stderr, flush=True)
        new = group.measure(group.quick if options.quick else group.rounds)
        found = Findings(found.rows + new.rows, found.targets + new.targets)
        if options.keep or not options.groups:
            kept.keep(name, new)  # at once: what comes later may fail, or be given up
    print(results.markdown(found, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
