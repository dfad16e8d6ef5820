"""A run as reports show it: one value, computed from the record's events.

The invariant: every figure of every report is computed here or in `seconds`; renderers only lay
them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pytest_slipstream import events
from pytest_slipstream.report.detail import Apart, statements, waits
from pytest_slipstream.report.happened import Happened
from pytest_slipstream.report.seconds import Account, account, began_and_ended

PARTS = ("set-up", "body", "teardown", "cleaning", "pytest")
"""What a test's seconds are split into on a timeline, in this order."""

_BEFORE = ("server", "template", "slot", "layers", "imports")


class Test(msgspec.Struct, frozen=True):
    """One test.

    Args:
        began: Unix time.
        parts: Seconds of each of `PARTS`.
        row: Where it is drawn: tests of one worker that overlap are in rows of their own.
    """

    __test__ = False

    node_id: str
    worker: str
    outcome: str
    began: float
    seconds: float
    parts: tuple[float, ...]
    row: int


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report shows of a run."""

    exit_status: int | None
    began: float
    seconds: float
    tests: tuple[Test, ...]
    rows: tuple[str, ...]
    account: Account
    outcomes: dict[str, int]
    started: tuple[events.RunStarted, ...]
    servers: tuple[events.ServerReady, ...]
    cleaned: tuple[events.TestCleaned, ...]
    leftovers: tuple[events.LeftoverFound, ...]
    statements: tuple[Apart, ...]
    waits: tuple[Apart, ...]
    memory: tuple[events.MemorySeen, ...]
    budgets: tuple[events.BudgetBroken, ...]
    problems: tuple[str, ...]
    """Why a merged build is not whole."""

    @property
    def verdict(self) -> str:
        """What became of the run, in one word or two."""
        if self.exit_status is None:
            return "did not end"
        if self.problems and not self.failed:
            return "not whole"
        if any(one.fails for one in self.budgets) and not self.failed:
            return "budget broken"
        return "passed" if self.exit_status in (0, 5) else "failed"

    @property
    def failed(self) -> tuple[Test, ...]:
        """The tests that failed or had errors."""
        return tuple(test for test in self.tests if test.outcome in ("failed", "error"))

    @property
    def slowest(self) -> tuple[Test, ...]:
        """All tests, the slowest first."""
        return tuple(sorted(self.tests, key=lambda test: -test.seconds))


def run_report(happened: Sequence[events.AnyEvent]) -> RunReport:
    """What a record tells of a run, or of the merged runs of a build."""
    found = Happened(happened)
    rows, tests = _rows(sorted(found.of(events.TestTimed), key=lambda event: event.began))
    finished = found.of(events.RunFinished)
    reporting = [end for end in finished if end.worker.endswith("main")] or finished
    merged = found.of(events.BuildMerged)
    began, ended = began_and_ended(happened)
    statuses = [end.exit_status for end in merged or reporting]
    outcomes: dict[str, int] = {}
    for test in tests:
        outcomes[test.outcome] = outcomes.get(test.outcome, 0) + 1
    return RunReport(
        exit_status=max(statuses, default=None),
        began=began,
        seconds=ended - began,
        tests=tuple(tests),
        rows=tuple(rows),
        account=account(happened),
        outcomes=outcomes,
        started=tuple(found.of(events.RunStarted)),
        servers=tuple(found.of(events.ServerReady)),
        cleaned=tuple(found.of(events.TestCleaned)),
        leftovers=tuple(found.of(events.LeftoverFound)),
        statements=statements(happened),
        waits=waits(happened),
        memory=tuple(found.of(events.MemorySeen)),
        problems=tuple(problem for one in merged for problem in one.problems),
        budgets=tuple(sorted(found.of(events.BudgetBroken), key=lambda one: not one.fails)),
    )


def _rows(timed: Iterable[events.TestTimed]) -> tuple[list[str], list[Test]]:
    """Rows of a timeline, the tests of a row one after the other; tests come by their begin."""
    names: list[str] = []
    free: dict[str, list[tuple[int, float]]] = {}
    tests = []
    for event in timed:
        own = free.setdefault(event.worker, [])
        at = next((i for i, (_, until) in enumerate(own) if until <= event.began + 1e-6), None)
        until = event.began + event.seconds
        if at is None:
            at = len(own)
            own.append((len(names), until))
            names.append(event.worker if not at else f"{event.worker} ({at + 1})")
        else:
            own[at] = (own[at][0], until)
        tests.append(
            Test(
                event.node_id,
                event.worker,
                event.outcome,
                event.began,
                event.seconds,
                _parts(event),
                own[at][0],
            )
        )
    return names, tests


def _parts(event: events.TestTimed) -> tuple[float, ...]:
    set_up_s, call_s, teardown_s = event.own
    cleaning_s = 0.0
    for kind, seconds in event.spent.items():
        if kind == "cleaning":
            cleaning_s = seconds
        elif kind in _BEFORE:
            set_up_s += seconds
        else:
            call_s += seconds
    for of_set_up, of_teardown in event.fixtures.values():
        set_up_s += of_set_up
        teardown_s += of_teardown
    rest_s = event.seconds - set_up_s - call_s - teardown_s - cleaning_s
    return set_up_s, call_s, teardown_s, cleaning_s, max(0.0, rest_s)
