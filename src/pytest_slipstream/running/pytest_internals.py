"""All of pytest's private parts that the run loop stands on, and the probes that know them.

The invariant: no other module of this package imports ``_pytest``; those that stand in for a class
or a function of pytest's touch only what is probed here, and what a probe does not recognise is
never guessed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from _pytest import runner as runner_module
from _pytest import warnings as warnings_plugin
from _pytest.assertion import util as assertion_util
from _pytest.capture import CaptureFixture, CaptureIO, CaptureManager, MultiCapture, SysCapture
from _pytest.config import create_terminal_writer
from _pytest.faulthandler import fault_handler_stderr_fd_key
from _pytest.fixtures import FixtureDef, SubRequest, get_scope_node, get_scope_package
from _pytest.logging import LogCaptureFixture, LogCaptureHandler, LoggingPlugin, catching_logs
from _pytest.nodes import Node
from _pytest.outcomes import TEST_OUTCOME
from _pytest.runner import SetupState
from _pytest.scope import Scope
from _pytest.unittest import TestCaseFunction

from pytest_slipstream.errors import ConfigurationError

__all__ = [
    "TEST_OUTCOME",
    "CaptureFixture",
    "CaptureIO",
    "CaptureManager",
    "FixtureDef",
    "LogCaptureFixture",
    "LogCaptureHandler",
    "LoggingPlugin",
    "MultiCapture",
    "Node",
    "SetupState",
    "SubRequest",
    "SysCapture",
    "assertion_util",
    "catching_logs",
    "runner_module",
    "warnings_plugin",
]


class Probe(NamedTuple):
    """A private name, the parameters by which it is called, and the names that it uses itself."""

    path: str
    parameters: tuple[str, ...] | None = None
    uses: tuple[str, ...] = ()


_PROBES = (
    Probe("_pytest.runner:SetupState.__init__", uses=("stack",)),
    Probe("_pytest.runner:SetupState.setup", ("self", "item")),
    Probe("_pytest.runner:SetupState.addfinalizer", ("self", "finalizer", "node")),
    Probe("_pytest.runner:SetupState.teardown_exact", ("self", "nextitem")),
    Probe("_pytest.runner:_update_current_test_var", ("item", "when")),
    Probe("_pytest.fixtures:FixtureDef.execute", ("self", "request")),
    Probe("_pytest.fixtures:FixtureDef.finish", ("self", "request")),
    Probe("_pytest.fixtures:FixtureDef.cache_key", ("self", "request")),
    Probe("_pytest.fixtures:FixtureRequest._get_active_fixturedef", ("self", "argname")),
    Probe("_pytest.fixtures:FixtureManager.getfixturedefs", ("self", "argname", "node")),
    Probe("_pytest.fixtures:get_scope_node", ("node", "scope")),
    Probe("_pytest.fixtures:get_scope_package", ("node", "fixturedef")),
    Probe("_pytest.fixtures:FuncFixtureInfo.name2fixturedefs"),
    Probe("_pytest.python:Function._initrequest", ("self",)),
    Probe("_pytest.fixtures:FixtureDef.__init__", uses=("cached_result", "_finalizers", "func")),
    Probe(
        "_pytest.capture:CaptureManager.__init__", uses=("_global_capturing", "_capture_fixture")
    ),
    Probe("_pytest.capture:CaptureManager.item_capture", ("self", "when", "item")),
    Probe("_pytest.capture:CaptureManager.global_and_fixture_disabled", ("self",)),
    Probe("_pytest.capture:CaptureManager.resume_global_capture", ("self",)),
    Probe("_pytest.capture:CaptureManager.read_global_capture", ("self",)),
    Probe("_pytest.capture:CaptureFixture._start", ("self",)),
    Probe("_pytest.capture:CaptureFixture.__init__", uses=("_capture", "captureclass")),
    Probe("_pytest.capture:SysCapture.__init__", uses=("_old", "tmpfile", "_state")),
    Probe("_pytest.capture:SysCapture.suspend", ("self",)),
    Probe("_pytest.capture:SysCapture.resume", ("self",)),
    Probe("_pytest.capture:MultiCapture.__init__", ("self", "in_", "out", "err")),
    Probe("_pytest.logging:LoggingPlugin._runtest_for", ("self", "item", "when")),
    Probe("_pytest.logging:LoggingPlugin.__init__", uses=("caplog_handler", "report_handler")),
    Probe("_pytest.logging:catching_logs.__enter__", ("self",)),
    Probe("_pytest.logging:catching_logs.__exit__"),
    Probe(
        "_pytest.logging:LogCaptureFixture.__init__",
        uses=("_initial_handler_level", "_initial_logger_levels"),
    ),
    Probe("_pytest.logging:LogCaptureFixture._finalize", ("self",)),
    Probe("_pytest.logging:LogCaptureFixture.set_level", ("self", "level", "logger")),
    Probe("_pytest.logging:LogCaptureFixture.at_level", ("self", "level", "logger")),
    Probe("_pytest.warnings:catch_warnings_for_item"),
    Probe("_pytest.assertion.util:_reprcompare"),
    Probe("_pytest.assertion.util:_assertion_pass"),
    Probe("_pytest.assertion.util:_config"),
    Probe(
        "pluggy._manager:PluginManager._hookexec",
        ("self", "hook_name", "methods", "kwargs", "firstresult"),
    ),
)


def check(probes: Sequence[Probe] = _PROBES) -> None:
    """Refuse to work with a pytest whose private parts are not those that are known.

    Raises:
        ConfigurationError: It names what is different.
    """
    strange = [found for probe in probes if (found := _difference(probe))]
    if strange:
        raise ConfigurationError(
            f"tests cannot run together under pytest {pytest.__version__}, because it is not "
            f"built as expected: {'; '.join(strange)}",
            hint="leave out 'concurrency' and the marker 'concurrent', or use a pytest that this "
            "version of pytest-slipstream was tested with",
        )


def _difference(probe: Probe) -> str:
    module, _, name = probe.path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return f"there is no {probe.path}"
    if missing := [name for name in probe.uses if name not in found.__code__.co_names]:
        return f"{probe.path} does not use {', '.join(missing)}"
    if probe.parameters is None:
        return ""
    seen = tuple(inspect.signature(found).parameters)
    if seen[: len(probe.parameters)] == probe.parameters:
        return ""
    return f"{probe.path} takes ({', '.join(seen)})"


def is_wide(definition: FixtureDef[Any]) -> bool:
    """Whether tests share the fixture."""
    return definition._scope is not Scope.Function


def scope_node(definition: FixtureDef[Any], item: pytest.Item) -> Node:
    """Where a fixture ends for a test: a class, module, package or session, or the test itself."""
    scope = definition._scope
    node: Any
    if scope is Scope.Function:
        node = item
    elif scope is Scope.Package:
        node = get_scope_package(item, definition)
    else:
        node = get_scope_node(item, scope)
    return item if node is None else node


def definitions(item: pytest.Item) -> Mapping[str, Sequence[FixtureDef[Any]]]:
    """The fixtures that a test may use, by name; the closest definition is the last."""
    info = getattr(item, "_fixtureinfo", None)
    return {} if info is None else info.name2fixturedefs


def parameters(item: pytest.Item) -> Mapping[str, object]:
    """The values that a test is parametrised with."""
    callspec = getattr(item, "callspec", None)
    return {} if callspec is None else callspec.params


def argument_names(item: pytest.Function) -> Sequence[str]:
    """The fixtures that a test function takes as arguments."""
    return item._fixtureinfo.argnames


def is_narrowed(item: pytest.Item, name: str, definition: FixtureDef[Any]) -> bool:
    """Whether a test parametrises a wider fixture for itself alone."""
    return bool(item.callspec._arg2scope[name] < definition._scope)  # type: ignore[attr-defined]


def active_definition(request: SubRequest, name: str) -> FixtureDef[Any]:
    """The fixture of that name, set up."""
    return request._get_active_fixturedef(name)


def with_definitions(
    item: Any, replace: Callable[[Sequence[FixtureDef[Any]]], Sequence[FixtureDef[Any]]]
) -> Callable[[], None]:
    """Give a test its own definitions of its fixtures.

    Returns:
        What gives the test the old ones back.
    """
    info = getattr(item, "_fixtureinfo", None)
    if info is None or not hasattr(item, "_initrequest"):
        return lambda: None
    item._fixtureinfo = type(info)(
        argnames=info.argnames,
        initialnames=info.initialnames,
        names_closure=info.names_closure,
        name2fixturedefs={name: replace(found) for name, found in info.name2fixturedefs.items()},
    )
    item._initrequest()

    def restore() -> None:
        item._fixtureinfo = info

    return restore


@contextlib.contextmanager
def dynamic_definitions(
    session: pytest.Session,
    replace: Callable[[Sequence[FixtureDef[Any]], pytest.Item], Sequence[FixtureDef[Any]]],
) -> Iterator[None]:
    """The same for what is asked for by ``request.getfixturevalue``."""
    fixtures: Any = session._fixturemanager
    original = fixtures.getfixturedefs

    def getfixturedefs(argname: str, node: pytest.Item) -> Sequence[FixtureDef[Any]] | None:
        found = original(argname, node)
        if not found or not isinstance(node, pytest.Item):
            return found  # type: ignore[no-any-return]
        return replace(found, node)

    fixtures.getfixturedefs = getfixturedefs
    try:
        yield
    finally:
        del fixtures.getfixturedefs


@contextlib.contextmanager
def setup_state(session: Any, state: SetupState) -> Iterator[None]:
    """Let the session use another setup state."""
    original = session._setupstate
    session._setupstate = state
    try:
        yield
    finally:
        session._setupstate = original


HookCall = tuple[str, Sequence[Any], Mapping[str, object], bool]
HookExecution = Callable[[str, Sequence[Any], Mapping[str, object], bool], Any]


@contextlib.contextmanager
def hook_execution(
    config: pytest.Config, wrap: Callable[[HookExecution], HookExecution]
) -> Iterator[HookExecution]:
    """See every hook call before it is made; yields how calls were made before."""
    manager: Any = config.pluginmanager
    original = manager._inner_hookexec
    manager._inner_hookexec = wrap(original)
    try:
        yield original
    finally:
        manager._inner_hookexec = original


def fresh_capture(config: pytest.Config) -> None:
    """In a process that was forked between two tests: capture into files of its own."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None and capture._global_capturing is not None:
        before = capture._global_capturing
        capture._global_capturing = None  # suspended: the streams are those of the process
        for stream in (before.in_, before.out, before.err):
            if stream is not None and hasattr(stream, "tmpfile"):
                stream.tmpfile.close()  # left to the garbage collector, it would be a warning
        capture.start_global_capturing()
        capture.suspend_global_capture(in_=True)


def redirect_faults(config: pytest.Config, descriptor: int) -> None:
    """Write Python's fatal errors there, not where this process began."""
    if fault_handler_stderr_fd_key in config.stash:
        os.dup2(descriptor, config.stash[fault_handler_stderr_fd_key])


class _Unhooked:
    """A plugin without its hooks."""

    def __init__(self, plugin: Any) -> None:
        self._plugin = plugin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugin, name)


def silence_terminal(config: pytest.Config) -> None:
    """Leave the terminal's reporter there for who asks for it, but let it hear and say nothing.

    Before pytest 9, comparisons are explained by its writer.
    """
    reporter = config.pluginmanager.unregister(name="terminalreporter")
    if reporter is not None:
        reporter._tw = create_terminal_writer(config, io.StringIO())
        config.pluginmanager.register(_Unhooked(reporter), "terminalreporter")


def deserialised(config: pytest.Config, data: dict[str, Any]) -> Any:
    """A report of another process; also a subtest's where pytest's plugin for these is left out."""
    subtests = sys.modules.get("_pytest.subtests")  # part of pytest since version 9
    if subtests is not None and data.get("_report_type") == "SubTestReport":
        return subtests.SubtestReport._from_json(data)
    return config.hook.pytest_report_from_serializable(config=config, data=data)


def note_failed_subtest(config: pytest.Config, report: Any, item: pytest.Item | None) -> None:
    """Count a failed subtest of another process, as pytest does to fail the test that passed.

    It does not for those of ``unittest``.
    """
    if isinstance(item, TestCaseFunction):
        return
    subtests = sys.modules.get("_pytest.subtests")
    if subtests is not None and isinstance(report, subtests.SubtestReport) and report.failed:
        failed = config.stash[subtests.failed_subtests_key]
        failed[getattr(report, "id", report.nodeid)] += 1


_UNCAUGHT: tuple[tuple[str, str, Any, str], ...] = (
    ("_pytest.unraisableexception", "unraisable_exceptions", sys, "unraisablehook"),
    ("_pytest.threadexception", "thread_exceptions", threading, "excepthook"),
)


@contextlib.contextmanager
def uncaught_in(config: pytest.Config, queue: Callable[[Any], Any]) -> Iterator[None]:
    """Keep exceptions that nobody can catch in other queues than pytest's, which it has since 8.4.

    Args:
        config: pytest's.
        queue: Given one of its queues, makes the one that takes its place.
    """
    with contextlib.ExitStack() as stack:
        for module, name, holder, hook in _UNCAUGHT:
            key = getattr(importlib.import_module(module), name, None)
            before = getattr(holder, hook)
            if key is None or key not in config.stash or not isinstance(before, functools.partial):
                continue
            others = config.stash[key]
            config.stash[key] = changed = queue(others)
            stack.callback(config.stash.__setitem__, key, others)
            note = functools.partial(before.func, append=changed.append)
            stack.enter_context(attribute(holder, hook, note))
        yield


@contextlib.contextmanager
def class_of(instance: Any, changed: type) -> Iterator[None]:
    """Let an object be of a subclass for a while."""
    original = instance.__class__
    instance.__class__ = changed
    try:
        yield
    finally:
        instance.__class__ = original


@contextlib.contextmanager
def attribute(owner: Any, name: str, value: object) -> Iterator[None]:
    """Replace an attribute of a class, a module or an object for a while."""
    original = inspect.getattr_static(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
