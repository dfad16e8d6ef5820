"""The reports of tests, withheld until the queue says that this machine was first with their atom.

The invariant: reporters hear of a test on one machine only: not where its atom came too late, nor
where it failed and is run again, nor where the machine was lost before it said so.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_slipstream import events
from pytest_slipstream.queue.build import Build
from pytest_slipstream.queue.connection import QueueLostError
from pytest_slipstream.queue.values import Lease
from pytest_slipstream.running.pytest_internals import HookCall, HookExecution, deserialised
from pytest_slipstream.running.queued.pulling import Pulling

_START = "pytest_runtest_logstart"
_REPORT = "pytest_runtest_logreport"
_FINISH = "pytest_runtest_logfinish"
_TOLD = frozenset((_START, _REPORT, _FINISH))
_LOCATED = tuple[str, Any, list[Any]]


class Withheld:
    """Keeps the calls that report tests, and makes or drops them.

    Args:
        config: pytest's.
        build: The connection.
        pulling: Knows which tests run by a lease.
        emit: Takes the events.
        lost: Called with why nothing can be acknowledged any more.
    """

    def __init__(
        self,
        config: pytest.Config,
        build: Build,
        pulling: Pulling,
        emit: Callable[[events.Event], None],
        lost: Callable[[str], None],
    ) -> None:
        self._config = config
        self._build = build
        self._pulling = pulling
        self._emit = emit
        self._lost = lost
        self._execute: HookExecution = _not_yet
        self._calls: dict[tuple[Lease, int], list[HookCall]] = {}
        self._left: dict[Lease, int] = {}
        self.flaky: list[str] = []
        self.again: list[str] = []
        self.dropped: list[str] = []
        self.reported: list[str] = []
        self.adopted: dict[str, int] = {}

    def withholding(self, execute: HookExecution) -> HookExecution:
        """What takes the place of pytest's way to call a hook."""
        self._execute = execute

        def called(
            hook_name: str,
            methods: Sequence[Any],
            kwargs: Mapping[str, object],
            firstresult: bool,
        ) -> Any:
            if hook_name in _TOLD and (test := self._pulling.running(_node_id(kwargs))):
                self._calls.setdefault(test, []).append((hook_name, methods, kwargs, firstresult))
                if hook_name == _FINISH:
                    self._ended(*test, _node_id(kwargs))
                return []
            return execute(hook_name, methods, kwargs, firstresult)

        return called

    def _ended(self, lease: Lease, number: int, node_id: str) -> None:
        self._pulling.ran(node_id)
        self._left[lease] = self._left.get(lease, len(lease.tests)) - 1
        if not self._left[lease]:
            del self._left[lease]
            self._settle(lease, {test: self._calls.pop((lease, test)) for test in lease.tests})

    def _settle(self, lease: Lease, calls: dict[int, list[HookCall]]) -> None:
        """Acknowledge an atom, then report what counts."""
        if self._pulling.is_stopped:
            return  # the queue is lost, and this machine's part does not count
        failed = {test for test, made in calls.items() if any(r.failed for r in _reports(made))}
        try:
            answer = self._build.acknowledge(
                lease,
                self._packed([calls[test] for test in lease.tests if test not in failed]),
                {test: self._packed([calls[test]]) for test in sorted(failed)},
            )
        except QueueLostError as error:
            self._pulling.stop()
            self._lost(str(error))
            return
        finally:
            self._pulling.held.pop(lease, None)
        for test in lease.tests:
            node_id = _node_id(calls[test][0][2])
            if not answer.first:
                self.dropped.append(node_id)
                continue
            if test in answer.again:
                self._run_again(node_id, calls[test])
                continue
            if lease.failed_on and test not in failed:
                self._mark_flaky(node_id, lease.failed_on, _reports(calls[test]))
            self.reported.append(node_id)
            for call in calls[test]:
                self._execute(*call)

    def _run_again(self, node_id: str, calls: Sequence[HookCall]) -> None:
        text = next((str(r.longreprtext) for r in _reports(calls) if r.failed), "")
        self.again.append(node_id)
        self._emit(events.TestRequeued(node_id=node_id, text=text))

    def _mark_flaky(self, node_id: str, failed_on: str, reports: Sequence[Any]) -> None:
        """Say that a test passed after it failed on other machines."""
        self.flaky.append(f"{node_id} failed on {failed_on}")
        self._emit(events.TestFlaky(node_id=node_id, failed_on=failed_on))
        if reports:
            reports[-1].user_properties.append(("slipstream_flaky", f"failed on {failed_on}"))

    def _packed(self, tests: Sequence[Sequence[HookCall]]) -> bytes:
        """Reports as the queue keeps them for the machine that takes over this one's."""
        packed = [
            (
                _node_id(calls[0][2]),
                calls[0][2].get("location"),
                [self._serialised(report) for report in _reports(calls)],
            )
            for calls in tests
        ]
        return zlib.compress(json.dumps(packed, default=repr, skipkeys=True).encode(), 1)

    def _serialised(self, report: Any) -> dict[str, Any]:
        serialise = self._config.hook.pytest_report_to_serializable
        data: dict[str, Any] = serialise(config=self._config, report=report)
        data.pop("node", None)  # the worker that ran the test: nobody's elsewhere
        return data

    def adopt(self, machine: str, results: Sequence[bytes]) -> None:
        """Report the tests that a lost machine ran and acknowledged."""
        hook = self._config.hook
        for blob in results:
            if not blob:
                continue
            tests: list[_LOCATED] = json.loads(zlib.decompress(blob))
            for node_id, location, reports in tests:
                hook.pytest_runtest_logstart(nodeid=node_id, location=tuple(location))
                for data in reports:
                    hook.pytest_runtest_logreport(report=deserialised(self._config, data))
                hook.pytest_runtest_logfinish(nodeid=node_id, location=tuple(location))
                self.reported.append(node_id)
            self.adopted[machine] = self.adopted.get(machine, 0) + len(tests)


def _node_id(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs["nodeid"] if "nodeid" in kwargs else kwargs["report"].nodeid)


def _reports(calls: Sequence[HookCall]) -> list[Any]:
    return [kwargs["report"] for name, _, kwargs, _ in calls if name == _REPORT]


def _not_yet(*call: object) -> Any:
    raise RuntimeError("hooks are not watched")
