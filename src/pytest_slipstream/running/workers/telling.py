"""A test's reports on their way from the worker to the parent's reporters.

In the worker the hook calls that report a test are not made, but sent; in the parent they are made.
The invariant: reporters hear of each test once, in one row of calls, in the parent alone.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_slipstream.running.pytest_internals import (
    HookExecution,
    deserialised,
    note_failed_subtest,
)
from pytest_slipstream.running.stopwatch import MEASURED
from pytest_slipstream.running.workers.channel import Channel
from pytest_slipstream.running.workers.messages import ALREADY_PLAIN, Ran, Started, plain

_START = "pytest_runtest_logstart"
_REPORT = "pytest_runtest_logreport"
_FINISH = "pytest_runtest_logfinish"
_WARNING = "pytest_warning_recorded"
_ID = "_id"  # where pytest 9.2 keeps the node id
_OF_PLAIN_VALUES = frozenset(("location", "keywords", MEASURED))
_TOLD = frozenset((_START, _REPORT, _FINISH, _WARNING))
_HEARD = _TOLD | {"pytest_runtest_protocol"}


class Telling:
    """The worker's side: see to it that the parent hears of the tests.

    Args:
        config: pytest's.
        positions: Of each test among all that were collected.
        channel: To the parent.
        at_once: Whether a test's reports are sent when it is over, not with the next message,
            which follows at once where tests do not overlap.
    """

    def __init__(
        self,
        config: pytest.Config,
        positions: Mapping[pytest.Item, int],
        channel: Channel,
        *,
        at_once: bool,
    ) -> None:
        self._config = config
        self._positions = positions
        self._channel = channel
        self._at_once = at_once
        self._counts_failures = bool(config.getvalue("maxfail"))
        self._plain = _are_plain(config)
        self._calls: list[tuple[str, Any]] = []
        self._keywords: Mapping[str, int] = {}
        self._failed = False

    def telling(self, execute: HookExecution) -> HookExecution:
        """What takes the place of pytest's way to call a hook."""

        def called(
            hook_name: str,
            methods: Sequence[Any],
            kwargs: Mapping[str, object],
            firstresult: bool,
        ) -> Any:
            __tracebackhide__ = True
            if hook_name in _HEARD:
                if hook_name in _TOLD:
                    self._tell(hook_name, kwargs)
                    return []
                item: Any = kwargs["item"]
                self._channel.post(Started(self._positions[item]))
            return execute(hook_name, methods, kwargs, firstresult)

        return called

    def _tell(self, hook_name: str, kwargs: Mapping[str, Any]) -> None:
        if hook_name == _REPORT:
            self._failed |= kwargs["report"].failed
            self._calls.append((hook_name, self._serialised(kwargs["report"])))
        elif hook_name == _WARNING:
            self._calls.append((hook_name, _warning_values(kwargs)))
        elif hook_name == _START:
            self._calls.append((hook_name, (kwargs["nodeid"], kwargs["location"])))
        else:
            self._calls.append((hook_name, (kwargs["nodeid"], kwargs["location"])))
            self.flush(kwargs["nodeid"])

    def _serialised(self, report: Any) -> Any:
        if not self._plain or report.longrepr is not None or type(report) is not pytest.TestReport:
            return plain(self._serialisable(report))
        values = {**report.__dict__, _ID: None, "nodeid": report.nodeid}
        for name, value in values.items():
            if value and type(value) not in ALREADY_PLAIN and name not in _OF_PLAIN_VALUES:
                values[name] = plain(value)
        if values["keywords"] == self._keywords:  # once for all reports of a test
            values["keywords"] = self._keywords
        self._keywords = values["keywords"]
        return values

    def _serialisable(self, report: Any) -> Any:
        return self._config.hook.pytest_report_to_serializable(config=self._config, report=report)

    def flush(self, node_id: str = "") -> None:
        """Send what was gathered."""
        calls, self._calls = self._calls, []
        failed, self._failed = self._failed, False
        if not calls:
            return
        ran = Ran(node_id, calls, failed)
        if failed and self._counts_failures:
            self._channel.send(ran)
            self._channel.await_verdict()
        elif self._at_once:
            self._channel.post(ran)
        else:
            self._channel.hold(ran)


def _are_plain(config: pytest.Config) -> bool:
    """Whether a report that has nothing to explain is its attributes: no plugin says otherwise."""
    hooks = (config.hook.pytest_report_to_serializable, config.hook.pytest_report_from_serializable)
    return all(
        impl.function.__module__.startswith("_pytest.")
        for hook in hooks
        for impl in hook.get_hookimpls()
    )


def _warning_values(kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    shown: warnings.WarningMessage = kwargs["warning_message"]
    return (
        (shown.category.__module__, shown.category.__qualname__),
        str(shown.message),
        (shown.filename, shown.lineno, shown.line),
        (kwargs["when"], kwargs["nodeid"], kwargs["location"]),
    )


class Teller:
    """The parent's side: make the calls that a worker sent.

    Args:
        session: pytest's.
        testrun_uid: Put on each report, as pytest-xdist does.
    """

    def __init__(self, session: pytest.Session, testrun_uid: str) -> None:
        self._config = session.config
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        # The terminal would write a line for a test that has started; it hears of it once it ended.
        self._log_start = session.config.pluginmanager.subset_hook_caller(
            _START, [terminal] if terminal is not None else []
        )
        self._testrun_uid = testrun_uid

    def tell(self, calls: Sequence[tuple[str, Any]], node: Node, item: pytest.Item | None) -> None:
        """Make the calls of one test."""
        hook: Any = self._config.hook if item is None else item.ihook
        for name, values in calls:
            if name == _REPORT:
                report = self._report(values, node, item)
                hook.pytest_runtest_logreport(report=report)
            elif name == _WARNING:
                self._warn(*values)
            elif name == _FINISH:
                node_id, location = values
                hook.pytest_runtest_logfinish(nodeid=node_id, location=tuple(location))
            else:
                node_id, location = values
                self._log_start(nodeid=node_id, location=tuple(location))

    def tell_crash(self, item: pytest.Item, report: pytest.TestReport, node: Node) -> None:
        """Report a test whose worker was lost."""
        self._log_start(nodeid=item.nodeid, location=item.location)
        item.ihook.pytest_runtest_logreport(report=self._signed(report, node))
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _report(self, values: dict[str, Any], node: Node, item: pytest.Item | None) -> Any:
        if _ID in values:
            del values[_ID]
            if item is not None and values["nodeid"] == item.nodeid:
                values["nodeid"] = getattr(item, "id", item.nodeid)  # parsed, since pytest 9.2
            report = pytest.TestReport(**values)
        else:
            report = deserialised(self._config, values)
            note_failed_subtest(self._config, report, item)
        return self._signed(report, node)

    def _signed(self, report: Any, node: Node) -> Any:
        # What pytest itself and other plugins look for in reports from pytest-xdist's workers.
        report.node, report.worker_id = node, node.gateway.id
        report.testrun_uid = self._testrun_uid
        return report

    def _warn(
        self, category: tuple[str, str], text: str, at: tuple[str, int, str | None], of: Any
    ) -> None:
        message = _warning(*category, text)
        when, node_id, location = of
        filename, line_number, line = at
        self._config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": warnings.WarningMessage(
                    message=message,
                    category=type(message),
                    filename=filename,
                    lineno=line_number,
                    line=line,
                ),
                "when": when,
                "nodeid": node_id,
                "location": location,
            }
        )


def _warning(module: str, name: str, text: str) -> Warning:
    """A warning, or one that looks like it where only the worker has its class."""
    kind = getattr(sys.modules.get(module), name, None)
    if isinstance(kind, type) and issubclass(kind, Warning):
        try:
            made = kind.__new__(kind)  # its constructor may take something else than the text
            made.args = (text,)
            if str(made) == text:
                return made
        except Exception:  # noqa: BLE001 - a class of the project's, which does what it likes
            pass
    lookalike: Warning = type(name, (Warning,), {"__module__": module})(text)
    return lookalike


class Gateway:
    """Has the worker's id where pytest's terminal looks for it."""

    def __init__(self, worker_id: str) -> None:
        self.id = worker_id


class Node:
    """A worker as reports name it, in the shape of pytest-xdist's."""

    def __init__(self, worker_id: str) -> None:
        self.gateway = Gateway(worker_id)
        self.workerinfo = {
            "id": worker_id,
            "sysplatform": sys.platform,
            "version_info": tuple(sys.version_info),
            "executable": sys.executable,
        }
