"""One machine's part in a build: publish or join, pull and run, wait for the others, leave.

The invariant: the session ends well only where all that this machine reports counts.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import pytest

from pytest_slipstream import events
from pytest_slipstream.errors import ConfigurationError
from pytest_slipstream.queue.build import Build, DiffersError
from pytest_slipstream.queue.connection import QueueLostError
from pytest_slipstream.queue.heartbeat import Heartbeat
from pytest_slipstream.queue.values import Adopted, Published
from pytest_slipstream.running.collected import node_id, suite
from pytest_slipstream.running.history import RunHistory
from pytest_slipstream.running.pytest_internals import hook_execution
from pytest_slipstream.running.queued.pulling import Pulling
from pytest_slipstream.running.queued.withheld import Withheld
from pytest_slipstream.running.sources import ListSource, Source
from pytest_slipstream.scheduling.atoms import atoms
from pytest_slipstream.scheduling.builds import (
    Collected,
    collected,
    difference,
    handed_out,
    machines_expected,
    requeue_cap,
)
from pytest_slipstream.scheduling.durations import by_file
from pytest_slipstream.scheduling.estimates import Estimates
from pytest_slipstream.scheduling.machine import processors
from pytest_slipstream.settings import Settings

BEATS = 5
"""In the time of a lease."""

_PAUSES_S = (0.02, 0.05, 0.1, 0.25)

RunTests = Callable[[Source], object]


class Queueing:
    """Registered in the process that reports.

    Args:
        connect: Opens a connection to the build.
        settings: Say what the first machine brings to the queue.
        kind: What machines of one build have in common.
        history: What past runs took.
        emit: Takes the events.
    """

    def __init__(
        self,
        connect: Callable[[], Build],
        settings: Settings,
        kind: str,
        history: RunHistory,
        emit: Callable[[events.Event], None],
    ) -> None:
        self._connect = connect
        self._build = connect()
        self._settings = settings
        self._kind = kind
        self._history = history
        self._emit = emit
        self._session: pytest.Session | None = None
        self._tests: list[pytest.Item] = []
        self._before: list[pytest.Item] = []
        self._lease_s = 0.0
        self._withheld: Withheld | None = None
        self._beating: Heartbeat | None = None
        self._problem = ""
        self._is_over = False
        self._line = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, Any]:
        """Take part with what all other plugins left; not where something is missing."""
        result = yield
        if not session.testsfailed or config.option.continue_on_collection_errors:
            try:
                self._take_part(items)
            except QueueLostError as error:
                self._problem = str(error)
                raise session.Interrupted(self._problem) from error
        return result

    def _take_part(self, items: Sequence[pytest.Item]) -> None:
        own = collected([node_id(item) for item in items], self._kind)
        try:
            first = not self._build.exists() and self._build.publish(self._published(items, own))
            before = self._build.join(own.digest)
            self._lease_s = self._build.lease_s()
        except DiffersError as error:
            raise ConfigurationError(
                f"this machine's tests are not those of the build {self._build.build!r}: "
                f"{difference(own.packed, error.args[0])}",
                hint="all machines of a build run one commit with the same options; each build "
                "has an id of its own: --build",
            ) from error
        self._tests = [items[position] for position in own.order]
        self._before = [self._tests[number] for atom in before for number in atom]
        self._emit(
            events.QueueJoined(
                build=self._build.build,
                machine=self._build.machine,
                digest=own.digest,
                collected=by_file(map(node_id, items)),
            )
        )
        self._line = f"build {self._build.build}, machine {self._build.machine}: " + (
            f"{len(items)} tests published"
            if first
            else f"joined; {len(self._before)} tests that it ran before run again"
            if before
            else "joined"
        )

    def _published(self, items: Sequence[pytest.Item], own: Collected) -> Published:
        known = suite(items, Estimates(self._history.read()))
        at_once = machines_expected(os.environ) * self._at_once()
        return Published(
            atoms=handed_out(atoms(known, at_once), own.order),
            digest=own.digest,
            collected=own.packed,
            lease_ms=self._settings.lease * 1000,
            requeues=self._settings.requeues,
            requeue_cap=requeue_cap(len(items)),
        )

    def _at_once(self) -> int:
        """How many atoms a machine runs at once."""
        wanted = self._settings.workers
        return processors() if wanted == "auto" else wanted or 1

    def pytest_report_collectionfinish(self) -> str:
        """Say which build this is."""
        return f"slipstream: queue {self._build.shown}, {self._line}" if self._line else ""

    def run(self, session: pytest.Session, run_tests: RunTests) -> None:
        """Run what the queue hands out until the build is over.

        Args:
            session: pytest's.
            run_tests: Runs what a source hands out.

        Raises:
            pytest.Session.Failed: As pytest's own loop does, when it is told to stop.
        """
        self._session = session
        pulling = Pulling(self._build, self._tests, self._lost)
        self._withheld = Withheld(session.config, self._build, pulling, self._emit, self._lost)
        self._beating = Heartbeat(self._connect, lambda: tuple(pulling.held), self._lease_s / BEATS)
        with contextlib.ExitStack() as stack:
            stack.enter_context(hook_execution(session.config, self._withheld.withholding))
            self._beating.start()
            stack.callback(self._beating.stop)
            if self._before:
                run_tests(ListSource(self._before))
            while self._wait(session, pulling, self._withheld):
                run_tests(pulling)
        if self._problem:
            raise session.Interrupted(self._problem)
        self._is_over = bool(self._tests)

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Let go of the server, so that the process can be forked: the next step connects again."""
        with self._beating.resting() if self._beating is not None else contextlib.nullcontext():
            self._build.close()
            yield

    def _wait(self, session: pytest.Session, pulling: Pulling, withheld: Withheld) -> bool:
        """Whether there is something to run; else, all is over, or the queue is lost."""
        turns = 0
        while not self._problem:
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            if pulling.look():
                return True
            if pulling.is_over and self._may_leave(withheld):
                return False
            time.sleep(_PAUSES_S[min(turns, len(_PAUSES_S) - 1)])
            turns += 1
        return False

    def _may_leave(self, withheld: Withheld) -> bool:
        try:
            answer = self._build.leave()
        except QueueLostError as error:
            self._lost(str(error))
            return False
        if isinstance(answer, Adopted):
            withheld.adopt(answer.machine, answer.results)
            return False
        return answer

    def _lost(self, problem: str) -> None:
        """Nothing more can be run for the queue: the session stops, and does not end well."""
        self._problem = self._problem or problem
        if self._session is not None:
            self._session.shouldstop = self._problem

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Once the reports are written: they count, unless the machine was taken for lost."""
        if self._line and not self._problem:
            try:
                self._build.release()
            except QueueLostError as error:
                self._problem = str(error)
                session.exitstatus = pytest.ExitCode.INTERRUPTED
        if self._withheld is not None:
            again = map(node_id, self._before)
            self._emit(
                events.QueueLeft(
                    reported=by_file([*again, *self._withheld.reported]),
                    adopted=dict(self._withheld.adopted),
                    problem=self._problem,
                )
            )
        self._build.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what other machines have to do with this one's results."""
        withheld = self._withheld
        if withheld is None:
            return
        lines = [
            *(f"flaky: {text}, and passed here" for text in withheld.flaky),
            *(f"failed here, and is run again elsewhere: {test}" for test in withheld.again),
            *(
                f"{count} tests that the lost machine {machine} ran are reported here"
                for machine, count in withheld.adopted.items()
            ),
        ]
        if withheld.dropped:
            lines.append(
                f"{len(withheld.dropped)} tests ran here too late, and are reported by another "
                f"machine: {', '.join(withheld.dropped[:3])}"
            )
        if self._is_over and not (self._before or withheld.reported or lines):
            lines.append(
                f"other machines ran all {len(self._tests)} tests before this one could begin; if "
                f"it should be the first, the build's id was used before: {self._build.build}"
            )
        for line in lines:
            terminalreporter.write_line(f"slipstream: {line}")
