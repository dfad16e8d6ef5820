"""The seconds of one test, each counted once: in the innermost interval that it lies in.

An interval is a phase or a fixture. A charge is time whose end alone is told, with its length: a
statement, slipstream's own work. The invariant: whatever encloses an interval or a charge does not
count its seconds again, so that all add up. A wait is not taken off what it lies in: it tells what
that was, as far as nothing else is known of these seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from pytest_slipstream import events
from pytest_slipstream.clock import clock
from pytest_slipstream.spans import Span, overlap

SETUP, CALL, TEARDOWN = range(3)
BODY, FIXTURE = 0, 1
WAITS = ("HTTP", "child processes", "file locks", "sleep", "locks and threads")
_DIGITS = 6
_TOLD = 100


class Wait(NamedTuple):
    """A wait of a test's.

    Args:
        span: From when to when.
        idle_s: In how much of it the processor did nothing.
        place: Where it was called, if that is told.
    """

    span: Span
    idle_s: float
    place: str = ""


class Turn:
    """One test while it runs.

    Args:
        node_id: The test's.
        began: When, by the run's clock.
    """

    def __init__(self, node_id: str, began: float) -> None:
        self.node_id = node_id
        self.began = began
        self.outcome = "passed"
        self.cpu_s = 0.0
        self.overlaps = False
        """Whether the processor works for other tests, too."""
        self.intervals = 0
        """How many are under way within the phase, each within the one before."""
        self._own = [0.0, 0.0, 0.0]
        self._fixtures: dict[str, list[float]] = {}
        self._wider_s = 0.0
        self._wider: list[tuple[dict[str, int], float]] = []
        self._spent: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._phase_began = self._cpu_began = 0.0
        self.inner_s = 0.0
        self.inner_cpu_s = 0.0
        self._charges: list[tuple[float, str, float, str]] = []
        self._statements: dict[str, list[float]] = {}
        self._charged: list[Span] = []
        self._waits: list[tuple[str, Wait]] = []
        self._places: dict[str, list[float]] = {}
        self._waited: tuple[dict[str, float], dict[str, float]] = ({}, {})

    def begin(self) -> None:
        """A phase begins now."""
        self.inner_s = 0.0
        self._phase_began = clock.seconds()

    def begin_call(self) -> None:
        """The test's body begins, in which the processor's work is measured."""
        self.inner_cpu_s = 0.0
        self._cpu_began = clock.processor()
        self.begin()

    def end_call(self) -> float:
        """It is over; `end` is not to be called."""
        cpu_s = clock.processor() - self._cpu_began - self.inner_cpu_s
        if self._waits:
            self.settle(self._phase_began, clock.seconds(), BODY)
        before_s = self._own[CALL]
        took_s = self.end(CALL)
        self.cpu_s += min(self._own[CALL] - before_s, max(0.0, cpu_s))
        return took_s

    def end(self, phase: int) -> float:
        """The phase is over; how long it took, with what lay within it."""
        took_s = clock.seconds() - self._phase_began
        if took_s > self.inner_s:
            self._own[phase] += took_s - self.inner_s
        if self._charged or self._waits:
            self._charges.clear()
            self._charged.clear()
            self._waits.clear()
        return took_s

    def begin_wider(self) -> None:
        """What happens from now on is a wider fixture's, and would be blamed on the first test."""
        self._wider.append((dict(self._counts), self._of_statements_s()))

    def end_wider(self) -> None:
        """The wider fixture is set up, or torn down."""
        self._counts, before_s = self._wider.pop()
        if not self._wider:
            self._wider_s += self._of_statements_s() - before_s

    def _of_statements_s(self) -> float:
        return sum(s for kind, s in self._spent.items() if kind not in events.MADE_ONCE)

    def fixture(self, key: str, end: int, own_s: float, *, wider: bool = False) -> None:
        """A fixture's set-up (``end`` 0) or teardown (1) is over."""
        if wider:
            self._wider_s += own_s
        self._fixtures.setdefault(key, [0.0, 0.0])[end] += own_s

    def charge(
        self,
        kind: str,
        seconds: float,
        cpu_s: float = 0.0,
        *,
        statement: str = "",
        takes_over: bool = False,
    ) -> None:
        """Something that took so long has just ended.

        Statements of several tasks of the test may overlap, and share their seconds.

        Args:
            kind: What it is counted as.
            seconds: Of which those are its own that nothing was charged for.
            cpu_s: How many of them the processor worked.
            statement: Its text, if that is to be told apart.
            takes_over: Whether what was charged within it was part of it.
        """
        ended = clock.seconds()
        began = ended - seconds
        own_s = seconds - self._already_charged(began, ended)
        self.inner_s += own_s
        self.inner_cpu_s += cpu_s
        while takes_over and self._charges and self._charges[-1][0] >= began:
            _, inner, inner_s, text = self._charges.pop()
            self._spent[inner] -= inner_s
            self._add_statement(text, -1, -inner_s)
            self.count(inner, -1)
            own_s += inner_s
        self._charges.append((began, kind, own_s, statement))
        self._add_statement(statement, 1, own_s)
        self._spent[kind] = self._spent.get(kind, 0.0) + own_s
        self.count(kind)

    def _add_statement(self, text: str, times: int, seconds: float) -> None:
        if text:
            _add(self._statements, text, times, seconds)

    def statements(self) -> dict[str, tuple[int, float]]:
        """How often each ran, and its seconds; those that took longest, where there are many."""
        return _longest(self._statements)

    def waits(self) -> dict[str, tuple[int, float]]:
        """What was waited for and where, how often, and how long: in all, what `timed` tells."""
        return _longest(self._places)

    def _already_charged(self, began: float, ended: float) -> float:
        """How many of these seconds something was charged for; from now on all of them."""
        already_s, since = 0.0, began
        while self._charged and self._charged[-1][1] > began:
            earlier = self._charged.pop()
            already_s += earlier[1] - max(earlier[0], began)
            since = min(since, earlier[0])
        self._charged.append((since, ended))
        return already_s

    def waited(self, kind: str, span: Span, idle_s: float, place: str = "") -> None:
        """A wait is over, in ``idle_s`` of which the processor did nothing."""
        self._waits.append((kind, Wait(span, idle_s, place)))

    def settle(self, began: float, ended: float, place: int | None) -> None:
        """An interval is over: its waits are those since it began.

        Args:
            began: By the run's clock.
            ended: By the same.
            place: `BODY`, `FIXTURE`, or None where waits are not told.
        """
        if self._waits:
            waits = self._waits_since(began, ended)
            if waits and place is not None:
                known = [(max(one[0], began), one[1]) for one in self._charged if one[1] > began]
                found = self._waited[place]
                for kind, seconds in unexplained(waits, known).items():
                    found[kind] = found.get(kind, 0.0) + seconds
                    self._place(kind, waits[kind], seconds)
        if self.intervals:
            self._already_charged(began, ended)  # nothing that encloses the interval waited in it

    def _place(self, kind: str, waits: Sequence[Wait], seconds: float) -> None:
        """Share the seconds of a kind among the places where it was waited, where they are told."""
        told = [wait for wait in outermost(waits) if wait.place]
        share = seconds / sum(wait.idle_s for wait in told) if told else 0.0
        for wait in told:
            _add(self._places, f"{kind} {wait.place}", 1, share * wait.idle_s)

    def _waits_since(self, began: float, ended: float) -> dict[str, list[Wait]]:
        """By kind; of one that began before, the part since then."""
        waits: dict[str, list[Wait]] = {}
        while self._waits and self._waits[-1][1].span[1] > began:
            kind, ((since, until), idle_s, place) = self._waits.pop()
            own = (max(since, began), min(until, ended))
            idle_s *= (own[1] - own[0]) / (until - since)
            waits.setdefault(kind, []).append(Wait(own, idle_s, place))
        return waits

    def count(self, kind: str, times: int = 1) -> None:
        """It happened so often."""
        self._counts[kind] = self._counts.get(kind, 0) + times

    def timed(self, marks: tuple[str, ...]) -> events.TestTimed:
        """What was measured, when the test is over."""
        seconds = clock.seconds() - self.began
        set_up_s, call_s, teardown_s = self._own
        body, fixtures = self._waited
        return events.TestTimed(
            node_id=self.node_id,
            outcome=self.outcome,
            began=clock.unix_of(self.began),
            seconds=_us(seconds),
            own=(_us(set_up_s), _us(call_s), _us(teardown_s)),
            cpu_seconds=_us(self.cpu_s),
            waited=body and _rounded(body),
            fixtures_waited=fixtures and _rounded(fixtures),
            wider_seconds=self._wider_s and _us(self._wider_s),
            fixtures={key: (_us(both[0]), _us(both[1])) for key, both in self._fixtures.items()},
            spent=self._spent and _rounded(self._spent),
            counts=self._counts and {kind: n for kind, n in self._counts.items() if n},
            marks=marks,
        )


def _us(seconds: float) -> float:
    """To microseconds; by `round` it takes three times as long."""
    return int(seconds * 1e6 + 0.5) / 1e6


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {kind: _us(s) for kind, s in seconds.items() if s > 0}


def _add(found: dict[str, list[float]], text: str, times: int, seconds: float) -> None:
    own = found.setdefault(text, [0, 0.0])
    own[0] += times
    own[1] += seconds


def _longest(found: Mapping[str, Sequence[float]]) -> dict[str, tuple[int, float]]:
    told = sorted(found.items(), key=lambda one: -one[1][1])
    own = ((text, int(times), seconds) for text, (times, seconds) in told if times)
    return {text: (times, _us(seconds)) for text, times, seconds in islice(own, _TOLD)}


def unexplained(waits: Mapping[str, Sequence[Wait]], known: Sequence[Span]) -> dict[str, float]:
    """How long was waited, by kind, in seconds of which nothing else is known.

    Args:
        waits: By kind; those of several tasks or threads overlap.
        known: Spans of which it is known what happened. A kind is known to those after it in
            `WAITS`: to poll a file lock is to sleep, too.
    """
    if not known and len(waits) == 1:
        ((kind, own),) = waits.items()
        if len(own) == 1:
            ((began, ended), idle_s, _) = own[0]
            return {kind: min(ended - began, idle_s)}
    spans = list(known)
    found = {}
    _, before_s = overlap(spans)
    for kind in sorted(waits, key=WAITS.index):
        spans.extend(wait.span for wait in waits[kind])
        _, covered_s = overlap(spans)
        idle_s = sum(wait.idle_s for wait in outermost(waits[kind]))
        found[kind] = min(covered_s - before_s, idle_s)
        before_s = covered_s
    return found


def outermost(waits: Iterable[Wait]) -> list[Wait]:
    """Those that do not lie in another: to read a response may be to read it in pieces."""
    found, until = [], 0.0
    for wait in sorted(waits, key=lambda wait: (wait.span[0], -wait.span[1])):
        if wait.span[1] > until:
            found.append(wait)
            until = wait.span[1]
    return found


class Interval:
    """A stretch of a phase that begins now.

    Args:
        turn: The test's.
        place: Where its waits are told, as in `Turn.settle`.
    """

    __slots__ = ("_began", "_outer_s", "_place", "_turn")

    def __init__(self, turn: Turn, place: int | None = None) -> None:
        self._turn = turn
        self._place = place
        turn.intervals += 1
        self._outer_s, turn.inner_s = turn.inner_s, 0.0
        self._began = clock.seconds()

    def end(self) -> float:
        """Its own seconds, without what lay within it."""
        ended = clock.seconds()
        turn, took_s = self._turn, ended - self._began
        turn.intervals -= 1
        turn.settle(self._began, ended, self._place)
        own_s = took_s - turn.inner_s
        turn.inner_s = self._outer_s + took_s
        return own_s if own_s > 0 else 0.0
