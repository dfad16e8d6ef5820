"""The run loop: pulls tests from a source and keeps up to a limit of them in flight.

The invariant: tests start in pytest's order; those that cannot share the process with the ones in
flight wait until these have ended; and a test's reports come in one row, when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from pytest_slipstream import events, garbage
from pytest_slipstream.clock import clock
from pytest_slipstream.running import fastapi_overrides, fibers, loops, process_state, uncaught
from pytest_slipstream.running.company import Company
from pytest_slipstream.running.compatibility import (
    CoroutineTests,
    TimeoutMarks,
    is_foreign,
    keeps_tasks,
)
from pytest_slipstream.running.flights import CURRENT, Flight
from pytest_slipstream.running.guard import Guard
from pytest_slipstream.running.interrupts import first_interrupt
from pytest_slipstream.running.logs import Logs
from pytest_slipstream.running.output import Output
from pytest_slipstream.running.phases import Phases
from pytest_slipstream.running.plans import Plan, Segment
from pytest_slipstream.running.process_state import Reports
from pytest_slipstream.running.pytest_internals import (
    dynamic_definitions,
    setup_state,
    with_definitions,
)
from pytest_slipstream.running.setup_tree import SetupTree
from pytest_slipstream.running.shared_fixtures import FixtureCopies
from pytest_slipstream.running.sources import Line, Source
from pytest_slipstream.running.timeouts import Watchdog
from pytest_slipstream.running.waiting import Waiting

GRACE_S = 5.0
_NOTHING = contextlib.nullcontext()
Emit = Callable[[events.Event], None]
Plans = Mapping[pytest.Item, Plan]
InLine = tuple[pytest.Item, pytest.Item | None]


class Limits(msgspec.Struct, frozen=True):
    """How much may be in flight.

    Args:
        tests: How many tests, counted by weight.
        groups: The same for each group.
        timeout_s: For each of set-up, call and teardown of a test, or None.
    """

    tests: int
    groups: Mapping[str, int] = {}
    timeout_s: float | None = None


class RunLoop:
    """Runs the tests of one process.

    Args:
        session: pytest's.
        source: Hands out the tests.
        plans: How each of them is to be run.
        limits: How much may be in flight.
        emit: Takes the events.
        company: What goes with the tests.
    """

    def __init__(
        self,
        session: pytest.Session,
        source: Source,
        plans: Plans,
        limits: Limits,
        emit: Emit,
        company: Company,
    ) -> None:
        config = session.config
        self._session = session
        self._plans = plans
        self._limits = limits
        self._emit = emit
        self._company = company
        self._loop = loops.new()
        self._copies = FixtureCopies(self._loop, is_foreign, company)
        self._tree = SetupTree(self._copies.forget)
        self._line = Line(source, self._tree.hold)
        self._reports = Reports(config)
        self._output = Output(config)
        self._logs = Logs(config, self._output.unclaimed.append)
        self._flights: dict[Flight, None] = {}
        self._ended: deque[Flight] = deque()
        self._wake = asyncio.Event()
        self._guard = Guard(self._loop, lambda: len(self._flights) > 1)
        self._waiting = Waiting(
            config,
            self._loop,
            lambda: self._flights,
            lambda: len(self._line),
            self._output.terminal,
        )
        self._watchdog = Watchdog(self._loop, self._blamed, self._blocked)
        self._blocker = ""
        self._interrupted = False
        self._aborted = False
        self._in_order = bool(getattr(config.option, "stepwise", False))

    def run(self) -> None:
        """Run all tests.

        Raises:
            pytest.Session.Failed: As pytest's own loop does, when it is told to stop.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(garbage.frozen())
            stack.enter_context(garbage.looked_for_less(self._limits.tests))
            for part in (self._reports, self._output, self._logs):
                stack.enter_context(part.installed())
            stack.enter_context(process_state.installed())
            stack.enter_context(uncaught.routed(self._session.config))
            stack.enter_context(fastapi_overrides.routed())
            stack.enter_context(setup_state(self._session, self._tree))
            stack.enter_context(dynamic_definitions(self._session, self._copies.of))
            stack.enter_context(self._plugins())
            stack.enter_context(loops.closing(self._loop, lambda: self._aborted))
            stack.callback(self._land)
            self._watchdog.start()
            stack.callback(self._watchdog.stop)
            try:
                self._run()
            finally:
                if not self._aborted:
                    self._tree.teardown_exact(None)

    def _land(self) -> None:
        if not self._aborted:
            self._loop.run_until_complete(self._company.landed())

    @contextlib.contextmanager
    def _plugins(self) -> Iterator[None]:
        manager = self._session.config.pluginmanager
        plugins = [Phases(self._timeout_s), CoroutineTests(self._loop), TimeoutMarks()]
        for plugin in plugins:
            manager.register(plugin)
        try:
            yield
        finally:
            for plugin in plugins:
                manager.unregister(plugin)

    def _timeout_s(self, item: pytest.Item) -> float | None:
        own = self._plans[item].timeout_s
        return self._limits.timeout_s if own is None else own

    def _run(self) -> None:
        while (item := self._line.first()) is not None:
            plan = self._plans[item]
            if plan.way == "outside":
                self._walk(*self._line.pop())
            else:
                self._fly_segment(item, plan)
            if self._session.shouldfail:
                raise self._session.Failed(self._session.shouldfail)
            if self._session.shouldstop:
                raise self._session.Interrupted(self._session.shouldstop)

    # Tests outside of the loop.

    def _walk(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        flight = Flight(item, self._loop, overlapping=False)
        contextvars.copy_context().run(self._protocol_outside, flight, nextitem)

    def _protocol_outside(self, flight: Flight, nextitem: pytest.Item | None) -> None:
        CURRENT.set(flight)
        with self._own_fixtures(flight):
            try:
                _protocol(flight.item, nextitem)
            finally:
                flight.close_owner()

    # Tests in the loop.

    def _fly_segment(self, item: pytest.Item, plan: Plan) -> None:
        together = plan.way == "together"
        with contextlib.ExitStack() as stack:
            if together:
                environ = stack.enter_context(self._guard.watching())
                for context in (
                    process_state.warnings_routed(item, self._session.config),
                    process_state.environ_routed(environ),
                    self._logs.routed(),
                    self._output.routed(),
                ):
                    stack.enter_context(context)
            stack.enter_context(first_interrupt(self._interrupt))
            self._watchdog.turn()
            stack.callback(self._watchdog.rest)
            error = self._turned(self._loop.create_task(self._segment()))
        if error is not None:
            raise error

    def _turned(self, segment: asyncio.Task[BaseException | None]) -> BaseException | None:
        while True:
            try:
                return self._loop.run_until_complete(segment)
            except (SystemExit, KeyboardInterrupt):
                # asyncio stops the loop when a task raises one; who waits for the task gets it, too
                if self._aborted or segment.done():
                    raise

    def _interrupt(self) -> bool:
        """The first Ctrl-C ends the run in an orderly way, the second one at once."""
        if self._interrupted:
            self._aborted = True
            return False
        self._interrupted = True
        self._loop.call_soon_threadsafe(self._wake.set)
        return True

    async def _segment(self) -> BaseException | None:
        """Start and report tests until the next one cannot be in flight with them.

        Returns:
            What the run has to end with, if it has to end.
        """
        segment = Segment(self._limits.tests, self._limits.groups)
        held_back: deque[InLine] = deque()  # their group is full
        self._waiting.begin()
        try:
            while True:
                self._start_all(segment, held_back)
                if not self._flights:
                    return None
                with contextlib.suppress(asyncio.CancelledError):  # a test cancelled all there is
                    await self._wake.wait()
                self._wake.clear()
                error = self._report_ended(segment)
                if self._interrupted:
                    error = error or KeyboardInterrupt()
                if error is not None or self._session.shouldfail or self._session.shouldstop:
                    for item, _ in held_back:
                        self._tree.release(item)
                    await self._give_up()
                    return error
        finally:
            self._waiting.stop()

    def _start_all(self, segment: Segment, held_back: deque[InLine]) -> None:
        for _ in range(len(held_back)):
            item, nextitem = held_back.popleft()
            plan = self._plans[item]
            if segment.has_room(plan) and segment.group_has_room(plan):
                self._start(item, nextitem, segment)
            else:
                held_back.append((item, nextitem))
        while (
            (first := self._line.first()) is not None
            and segment.belongs(self._plans[first])
            and segment.has_room(self._plans[first])
        ):
            item, nextitem = self._line.pop()
            if segment.group_has_room(self._plans[item]):
                self._start(item, nextitem, segment)
            else:
                held_back.append((item, nextitem))

    def _start(self, item: pytest.Item, nextitem: pytest.Item | None, segment: Segment) -> None:
        plan = self._plans[item]
        segment.start(plan)
        flight = Flight(item, self._loop, overlapping=plan.way == "together")
        flight.deadlines.watchdog = self._watchdog
        flight.began = clock.seconds()
        flight.unclaimed_before = len(self._output.unclaimed)
        self._flights[flight] = None
        self._guard.look()
        flight.task = self._loop.create_task(self._fly(flight, nextitem), name=item.nodeid)
        flight.task.add_done_callback(lambda task: self._landed(flight, task))

    async def _fly(self, flight: Flight, nextitem: pytest.Item | None) -> None:
        CURRENT.set(flight)
        with self._own_fixtures(flight):
            try:
                async with self._company.around(flight.item) if flight.overlapping else _NOTHING:
                    await fibers.run(
                        lambda: _protocol(flight.item, nextitem), flight.meter, flight.translate
                    )
            except BaseException as error:
                if self._aborted:
                    raise
                flight.error = error  # the run ends with it, in order
            if not keeps_tasks(flight.item):
                await flight.end_tasks()

    def _landed(self, flight: Flight, task: asyncio.Task[None]) -> None:
        flight.ended = clock.seconds()
        if not task.cancelled():
            flight.error = flight.error or task.exception()
        self._ended.append(flight)
        self._wake.set()

    @contextlib.contextmanager
    def _own_fixtures(self, flight: Flight) -> Iterator[None]:
        item = flight.item
        restore = with_definitions(item, lambda found: self._copies.of(found, item))
        try:
            yield
        finally:
            flight.over = True
            self._tree.release(item)
            self._guard.forget(flight)
            restore()

    def _report_ended(self, segment: Segment) -> BaseException | None:
        """Replay the reports of tests that are over."""
        while (flight := self._next_ended()) is not None:
            segment.end(self._plans[flight.item])
            if flight.overlapping:
                self._output.add_unclaimed(flight)
                with self._output.terminal():
                    self._reports.replay(flight)
            self._waiting.begin()
            self._emit_ran(flight)
            if flight.error is not None:
                return flight.error
            if self._session.shouldfail or self._session.shouldstop:
                return None
        return None

    def _next_ended(self) -> Flight | None:
        """Take out a test that is over; where order matters, the first in pytest's order."""
        if not self._ended:
            return None
        flight = next(iter(self._flights)) if self._in_order else self._ended[0]
        if flight not in self._ended:
            return None
        self._ended.remove(flight)
        del self._flights[flight]
        return flight

    def _emit_ran(self, flight: Flight) -> None:
        plan = self._plans[flight.item]
        self._emit(
            events.AsyncTestRan(
                node_id=flight.item.nodeid,
                together=flight.overlapping,
                reason=plan.reason,
                seconds=flight.ended - flight.began,
                running_seconds=flight.meter.seconds,
            )
        )

    async def _give_up(self) -> None:
        """End the tests in flight; their reports are dropped, their finalizers run."""
        for item in self._line.clear():
            self._tree.release(item)
        for _ in range(2):
            tasks = [f.task for f in self._flights if f.task is not None and not f.task.done()]
            for flight in self._flights:
                flight.give_up()
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE_S)
        self._flights.clear()
        self._ended.clear()

    # The watchdog.

    def _blamed(self) -> None:
        """In the code that blocks the loop: note whose it is, and end it beyond its deadline."""
        flight = CURRENT.get()
        if flight is None or not flight.phase or flight.task is None:
            return
        if not self._watchdog.is_blocked_by(flight):
            return
        self._blocker = flight.item.nodeid
        failure = flight.deadlines.failure(blocked=True)
        if failure is not None:
            raise failure

    def _blocked(self, seconds: float) -> None:
        if self._blocker:
            self._emit(events.LoopBlocked(node_id=self._blocker, seconds=seconds))
            self._blocker = ""


def _protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    return item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
