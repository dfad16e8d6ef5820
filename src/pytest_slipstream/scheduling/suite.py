"""What a scheduler knows of a collected suite: tests, what they take, what they share.

The invariant: every decision names a test by its position here, so that two tests with the same
node id stay two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec


class Test(msgspec.Struct, frozen=True, gc=False):
    """One test.

    Args:
        node_id: pytest's.
        seconds: What it is expected to take, without the wider fixtures.
        fixtures: Those wider fixtures that it needs, as keys of `Suite.fixtures`.
        group: Tests of one group (`xdist_group`) run on one worker, in order.
        urgent: Whether its worker runs it before all that is not: it failed last, or is new.
    """

    __test__ = False

    node_id: str
    seconds: float
    fixtures: tuple[str, ...] = ()
    group: str | None = None
    urgent: bool = False


class Fixture(msgspec.Struct, frozen=True, gc=False):
    """One value of a wider fixture: with one scope and one parameter.

    Args:
        seconds: Set-up and teardown, paid once by each worker that runs a test that needs it.
        binds: Whether its tests are kept together as an atom; those of a session fixture are not.
    """

    seconds: float
    binds: bool = True


class Suite(msgspec.Struct, frozen=True):
    """The collected tests, in order."""

    tests: Sequence[Test]
    fixtures: Mapping[str, Fixture] = {}

    def fixture_seconds(self, keys: Iterable[str]) -> float:
        """What it takes to set these fixtures up and to tear them down."""
        # Exactly rounded: keys come from sets, whose order differs from process to process.
        return math.fsum(self.fixtures[key].seconds for key in keys)

    @property
    def total_s(self) -> float:
        """All tests, and each fixture once: what one worker takes."""
        used = {key for test in self.tests for key in test.fixtures}
        return sum(test.seconds for test in self.tests) + self.fixture_seconds(used)

    def longest(self) -> tuple[Test | None, float]:
        """The test that takes longest with the fixtures it needs, and its seconds."""
        longest, seconds = None, 0.0
        for test in self.tests:
            own = test.seconds + (self.fixture_seconds(test.fixtures) if test.fixtures else 0.0)
            if longest is None or own > seconds:
                longest, seconds = test, own
        return longest, seconds

    def lower_bound(self, workers: int) -> float:
        """Seconds that no plan for so many workers can be faster than."""
        return max(self.total_s / workers, self.longest()[1])
