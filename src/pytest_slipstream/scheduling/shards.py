"""Shards: the slice of the suite that one CI machine runs, the same on all without talking.

The invariant: machines that collected the same tests and read the same history split alike, in
whatever order they collected; each test is in one shard. The digest tells whether they did.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.scheduling.atoms import atoms
from pytest_slipstream.scheduling.plan import plan
from pytest_slipstream.scheduling.suite import Suite, Test

AUTO = "auto"

_NEARLY = 0.95

VARIABLES = (
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),  # GitLab
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    ("STRATEGY_JOB_INDEX", "STRATEGY_JOB_TOTAL", 0),  # GitHub has contexts of these names
)
"""Where a CI service says which of its parallel jobs this is, and what it counts from."""


class Shard(msgspec.Struct, frozen=True):
    """Which shard, counted from 1, of how many."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


class Split(msgspec.Struct, frozen=True):
    """A suite, split.

    Args:
        shards: The positions of each shard's tests in the suite, in order.
        seconds: What each is expected to take.
        digest: Of all of it: the same where the split is.
    """

    shards: tuple[tuple[int, ...], ...]
    seconds: tuple[float, ...]
    digest: str


def parse(text: str, environ: Mapping[str, str]) -> Shard:
    """The shard that an option names.

    Args:
        text: ``2/8``, or ``auto`` for what the CI service's variables say.
        environ: The environment.

    Raises:
        ConfigurationError: There is no such shard.
    """
    if text == AUTO:
        return _from_ci(environ)
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not found:
        raise ConfigurationError(
            f"the shard is {text!r}, and must be two whole numbers such as 2/8, or {AUTO}",
            hint="the second of eight machines runs: pytest --shard 2/8",
        )
    return _checked(Shard(int(found[1]), int(found[2])), repr(text))


def _from_ci(environ: Mapping[str, str]) -> Shard:
    for index, total, base in VARIABLES:
        if index not in environ or total not in environ:
            continue
        said = f"{index}={environ[index]} of {total}={environ[total]}"
        try:
            shard = Shard(int(environ[index]) + 1 - base, int(environ[total]))
        except ValueError as error:
            raise ConfigurationError(
                f"the shard is {AUTO}, and {said} are not numbers",
                hint="name the shard: pytest --shard 2/8",
            ) from error
        return _checked(shard, f"{AUTO}, from {said}")
    looked_for = ", ".join(index for index, _, _ in VARIABLES)
    raise ConfigurationError(
        f"the shard is {AUTO}, and no CI service says which one this is: none of {looked_for} "
        "is set with its total",
        hint="name the shard: pytest --shard 2/8",
    )


def _checked(shard: Shard, said: str) -> Shard:
    if not 1 <= shard.number <= shard.count:
        valid = f"1/{shard.count} to {shard.count}/{shard.count}" if shard.count else "1/1 at least"
        raise ConfigurationError(
            f"the shard is {said}, and there is no shard {shard}",
            hint=f"valid are {valid}",
        )
    return shard


def split(suite: Suite, count: int) -> Split:
    """Split a suite into shards that take about equally long."""
    order = sorted(range(len(suite.tests)), key=lambda n: _rank(suite.tests[n]))
    canonical = Suite([suite.tests[n] for n in order], suite.fixtures)
    found = atoms(canonical, count)
    planned = plan(canonical, found, count)
    shards = [sorted(n for atom in queue for n in found[atom].tests) for queue in planned.queues]
    return Split(
        shards=tuple(tuple(sorted(order[n] for n in shard)) for shard in shards),
        seconds=planned.seconds,
        digest=_digest([[canonical.tests[n].node_id for n in shard] for shard in shards]),
    )


def _rank(test: Test) -> tuple[object, ...]:
    """A node id may be there twice, so all that is known of a test tells its place."""
    return (test.node_id, test.seconds, test.fixtures, test.group or "", test.urgent)


def _digest(shards: list[list[str]]) -> str:
    digest = hashlib.sha256()
    for shard in shards:
        digest.update("".join(f"{node_id}\n" for node_id in shard).encode(errors="replace"))
        digest.update(b"\0")
    return digest.hexdigest()[:8]


def limit(suite: Suite, found: Split) -> str:
    """What keeps the longest shard from being shorter, in words."""
    longest, longest_s = suite.longest()
    makespan_s, count = max(found.seconds), len(found.seconds)
    if longest is not None and longest_s >= _NEARLY * makespan_s:
        return "the longest test"
    if suite.total_s / count < _NEARLY * makespan_s:
        return "fixtures that several shards set up, and tests that stay together"
    return "the number of shards"


def that_pay(suite: Suite, start_s: float, most: int = 256) -> int:
    """The number of shards up to which each further one shortens the build by 5 % at least.

    Args:
        suite: What is to be split.
        start_s: What a machine takes before its first test.
        most: How many are considered.
    """
    longest_s, total_s = suite.longest()[1], suite.total_s

    def build_s(count: int) -> float:
        return start_s + max(longest_s, total_s / count)

    count = 1
    while count < most and build_s(count + 1) <= 0.95 * build_s(count):
        count += 1
    return count
