"""The block at the end of a run: a rendering of the run record.

Every figure in it is computed here from events; nothing else is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from pytest_slipstream import events, garbage, record
from pytest_slipstream.report.detail import statements, waits
from pytest_slipstream.report.happened import Happened
from pytest_slipstream.report.seconds import Account, account
from pytest_slipstream.spans import overlap

_SHOWN = 10


class Summary:
    """Registered in the process that reports: the only one, or pytest-xdist's controller."""

    def __init__(self, shown: bool, written: record.Record) -> None:
        self._shown = shown
        self._record = written

    @pytest.hookimpl(trylast=True)
    @garbage.paused()
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the block."""
        if self._record.problem is not None:
            terminalreporter.write_line(f"slipstream: {self._record.problem}")
            return
        happened = self._record.read()
        lines = list(render(happened))
        found = Happened(happened)
        kept = [*_budgets(found), *_kept(found)]
        if kept or (self._shown and lines):
            terminalreporter.section("slipstream", sep="-")
        for line in [*(lines if self._shown else ()), *kept]:
            terminalreporter.write_line(line)


def render(happened: Sequence[events.AnyEvent]) -> Iterator[str]:
    """The block's lines, without those on budgets and on kept databases."""
    found = Happened(happened)
    started = found.of(events.RunStarted)
    for name in dict.fromkeys(name for event in started for name in event.databases):
        yield from _database(name, found.about(name))
    yield from _lanes(started, found.of(events.TestRan))
    yield from _embedded(found.of(events.ConnectionsMoved))
    yield from _unchanged(found)
    yield from _listed(
        "escalated to clone",
        [
            f"{event.node_id}: {event.escalated}"
            for event in found.of(events.TestCleaned)
            if event.escalated is not None
        ],
    )
    yield from _listed(
        "not contained by a rollback, and cleaned by reset",
        [f"{event.node_id}: {event.reason}" for event in found.of(events.Uncontained)],
    )
    yield from _listed(
        "drivers left alone, whose connections cannot join a rollback",
        sorted({f"{event.driver}: {event.reason}" for event in found.of(events.DriverLeftAlone)}),
    )
    yield from _listed("connected to another database than a slot", list(_elsewhere(found)))
    yield from _listed(
        "left behind and ended",
        [
            f"{event.node_id}: {event.kind} {event.detail}"
            for event in found.of(events.LeftoverFound)
        ],
    )
    yield from _together(found.of(events.AsyncTestRan))
    yield from _listed(
        "blocked the event loop",
        [f"{event.node_id}: {event.seconds:.1f} s" for event in found.of(events.LoopBlocked)],
    )
    yield from _seconds(account(happened))
    yield from _listed(
        "statements, the slowest first",
        [one.told for one in statements(happened)],
    )
    yield from _listed("waits, the longest first", [one.told for one in waits(happened)])
    finished = found.of(events.RunFinished)
    held = max((event.server_seconds for event in finished), default=0.0)
    if held:
        yield f"servers held for {held:.1f} s"


def _database(name: str, own: Happened) -> Iterator[str]:
    if servers := own.of(events.ServerReady):
        yield f"{name}: {_server(servers)}; {_template(own)}"
        if costs := _costs(own):
            yield f"  {costs}"
        yield from _layers(own)
        yield from _changes(own)
        for pattern in sorted({event.pattern for event in own.of(events.PatternUnmatched)}):
            yield f"  fingerprint {pattern!r} matches no file"


def _server(servers: Sequence[events.ServerReady]) -> str:
    first = next((server for server in servers if server.started), servers[0])
    how = "started in" if first.started else "reached in"
    name = f"{first.engine} {first.server_version}".strip()
    return name if first.engine == "sqlite" else f"{name} {how} {first.seconds:.2f} s"


def _template(own: Happened) -> str:
    ready = own.of(events.TemplateReady)
    built = [event for event in ready if event.built]
    if built:
        return f"template built in {built[0].seconds:.2f} s"
    return "template reused" if ready else "no template"


def _costs(own: Happened) -> str:
    from statistics import median  # not before the end of the run

    cleaned = [event for event in own.of(events.TestCleaned) if event.node_id]
    if not cleaned:
        return ""
    # A test is cleaned up after more than once where wider fixtures end with it.
    strategies = Counter(strategy for _, strategy in {(e.node_id, e.strategy) for e in cleaned})
    seconds = [event.seconds for event in cleaned]
    tests = ", ".join(f"{count} by {name}" for name, count in sorted(strategies.items()))
    return (
        f"{len({event.node_id for event in cleaned})} tests cleaned ({tests}): "
        f"median {median(seconds) * 1e3:.2f} ms, {sum(seconds):.2f} s in all"
    )


def _layers(own: Happened) -> Iterator[str]:
    pushed = [event for event in own.of(events.LayerPushed) if event.fixtures]
    if pushed:
        names = sorted({name for event in pushed for name in event.fixtures})
        yield f"  {len(pushed)} layers of wider fixtures ({_shortened(names)})"


def _elsewhere(happened: Happened) -> Iterator[str]:
    """The other databases, each with the first test that was running then."""
    tests = happened.of(events.TestTimed)
    told: dict[str, None] = {}
    for event in happened.of(events.ConnectedElsewhere):
        if event.target not in told:
            told[event.target] = None
            during = (
                test.node_id
                for test in tests
                if test.worker == event.worker
                and test.began <= event.at < test.began + test.seconds
            )
            yield f"{event.target}, first in {next(during, 'no test')}"


def _together(ran: Sequence[events.AsyncTestRan]) -> Iterator[str]:
    together = [event for event in ran if event.together]
    if together:
        spans = [(event.at - event.seconds, event.at) for event in together]
        most, seconds = overlap(spans)
        yield (
            f"{len(together)} tests in flight together, up to {most} at once: "
            f"{sum(event.seconds for event in together):.1f} s of tests in {seconds:.1f} s"
        )
    reasons = Counter(event.reason for event in ran if event.reason)
    if reasons:
        yield f"asynchronous tests that ran alone: {reasons.total()}"
        yield from (f"  {count} {reason}" for reason, count in reasons.most_common(_SHOWN))


def _seconds(spent: Account) -> Iterator[str]:
    """Where the seconds went: what took a hundredth of them or more."""
    if not spent.total_s:
        return
    workers = f"{spent.workers} workers" if spent.workers > 1 else "one process"
    yield f"where {spent.total_s:.1f} s of {workers} went:"
    yield from (
        f"  {100 * seconds / spent.total_s:3.0f} %  {seconds:.2f} s  {name}"
        for name, seconds in spent.buckets.items()
        if seconds >= 0.01 * spent.total_s
    )
    parts = [(f"in the fixture {k.lstrip(':')}", sum(s)) for k, s in spent.fixtures.items()]
    for what, seconds in [
        *parts[:3],
        *((f"importing {name}", s) for name, s in list(spent.packages.items())[:3]),
    ]:
        if seconds >= 0.01 * spent.total_s:
            yield f"         of which {seconds:.2f} s {what}"


def _changes(own: Happened) -> Iterator[str]:
    changes = own.of(events.StrategyChanged)
    for wanted, used, reason in sorted({(e.wanted, e.used, e.reason) for e in changes}):
        yield f"  {wanted} cannot be had here, {used} is used: {reason}"


def _lanes(started: Sequence[events.RunStarted], ran: Sequence[events.TestRan]) -> Iterator[str]:
    engines = {name: used for event in started for name, used in event.lanes.items()}
    for name in engines if len(engines) > 1 else ():
        seconds = [event.seconds for event in ran if event.lane == name]
        if seconds:
            share = f"{len(seconds)} tests, {100 * len(seconds) / len(ran):.0f} %"
            yield f"lane {name}: {share}, on {', '.join(engines[name])} in {sum(seconds):.2f} s"


def _embedded(moved: Sequence[events.ConnectionsMoved]) -> Iterator[str]:
    """Which servers of the suite's were moved, over all workers."""
    left = []
    for server, product in sorted({(event.server, event.product) for event in moved}):
        own = [event for event in moved if (event.server, event.product) == (server, product)]
        made = ", ".join(sorted({name for event in own for name in event.made}))
        times = sum(event.times for event in own)
        if product:
            line = f"{server}: {times} connections went to an embedded {product} instead"
            yield f"{line}, and there were made: {made}" if made else line
        else:
            left.append(f"{server}, {times} connections" if times else server)
    yield from _listed("not moved to an embedded server", left)


def _unchanged(happened: Happened) -> Iterator[str]:
    """What stood in for operations on the schema, over all workers."""
    memoised = happened.of(events.OperationMemoised)
    for operation in sorted({event.operation for event in memoised}):
        own = [event for event in memoised if event.operation == operation]
        times, checked = sum(one.times for one in own), sum(one.checked for one in own)
        seconds, slow = sum(one.seconds for one in own), sum(one.slow_seconds for one in own)
        how = f"replaced {times} times, in {seconds:.2f} s instead of {slow:.2f} s or more"
        yield f"{operation}: {how}" + (f"; {checked} compared with the slow way" if checked else "")
    hashed: Counter[str] = Counter()
    for cheap in happened.of(events.HashedCheaply):
        hashed[cheap.library] += cheap.times
    if hashed:
        by = ", ".join(f"{times} by {library}" for library, times in sorted(hashed.items()))
        yield f"passwords hashed at least cost: {by}"
    yield from _listed(
        "hashed at full cost",
        sorted({f"{e.what}: {e.reason}" for e in happened.of(events.HashingLeftAlone)}),
    )
    written: Counter[tuple[str, str]] = Counter()
    for event in happened.of(events.OperationAsWritten):
        written[event.operation, event.reason] += event.times
    yield from _listed(
        "operations on the schema that ran as written",
        [f"{name}, {times} times: {reason}" for (name, reason), times in sorted(written.items())],
    )
    yield from _listed(
        "restored otherwise than the slow way makes it, put right, and then no more replaced "
        "(report this as a defect of slipstream)",
        [
            f"{event.operation}: {'; '.join(event.differences)}"
            for event in happened.of(events.MemoDiffered)
        ],
    )


def _listed(title: str, entries: Sequence[str]) -> Iterator[str]:
    if entries:
        yield f"{title}: {len(entries)}"
        yield from (f"  {entry}" for entry in entries[:_SHOWN])
    if len(entries) > _SHOWN:
        yield f"  … and {len(entries) - _SHOWN} more, all in the run record"


def _budgets(happened: Happened) -> Iterator[str]:
    found = happened.of(events.BudgetBroken)
    for one in [*(e for e in found if e.fails), *(e for e in found if not e.fails)][: 3 * _SHOWN]:
        warning = f"over budget, a warning because {one.spared}: {one.said}"
        yield f"budget broken: {one.said}" if one.fails else warning
        if one.why:
            yield f"  {one.why}"
    if len(found) > 3 * _SHOWN:
        yield f"  … and {len(found) - 3 * _SHOWN} more, all in the run record"


def _kept(happened: Happened) -> Iterator[str]:
    for event in happened.of(events.DatabaseKept):
        yield f"kept {event.name} of {event.node_id}"
        yield f"  {event.url}"
        yield f"  {event.shell}"


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
