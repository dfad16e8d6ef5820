"""How each test is to be run: together with others, alone, or outside of the event loop.

Pure: from what is known about a test to a `Plan`. The invariant: a test of which it is not known
that it can share the process with others runs alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import msgspec

from pytest_slipstream.errors import ConfigurationError

Way = Literal["together", "alone", "outside"]
PROCESS_WIDE = frozenset(
    {
        "capfd",
        "capfdbinary",
        "class_mocker",
        "event_loop",
        "freezer",
        "mocker",
        "module_mocker",
        "monkeypatch",
        "package_mocker",
        "recwarn",
        "session_mocker",
        "socket_disabled",
        "time_machine",
    }
)


class Marks(msgspec.Struct, frozen=True):
    """What the markers ``concurrent`` and ``sequential`` say, the closest ones first.

    Args:
        wanted: Whether one of them says that the test may overlap; None where there is neither.
    """

    wanted: bool | None = None
    group: str | None = None
    timeout: float | None = None
    weight: int = 1


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a test.

    Args:
        is_coroutine: It is an ``async def``.
        is_foreign: Another event loop library runs it.
        is_hypothesis: Hypothesis runs it.
        fixtures: The names of all fixtures it uses.
        narrows: The name of a wider fixture that it parametrises for itself alone.
        shared: The parameter of each wider fixture that any test parametrises.
        filters: The arguments of its ``filterwarnings`` markers.
        scopes: Classes, modules and packages with whose fixtures it must not meet others.
        reason_alone: Why it must run alone, where another room says so.
    """

    is_coroutine: bool
    marks: Marks = Marks()
    is_foreign: bool = False
    is_hypothesis: bool = False
    fixtures: Collection[str] = ()
    narrows: str = ""
    shared: Mapping[Any, Any] = {}
    filters: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    reason_alone: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one test is to be run.

    Args:
        way: Together with others, alone in the event loop, or outside of the loop.
        reason: Why an asynchronous test does not run together with others; empty where nobody
            wanted it.
        timeout_s: For each of set-up, call and teardown; None for the project's.
        must_match: Tests with another value run at another time.
        shared: As in `Facts`: a different parameter for the same fixture must wait.
    """

    way: Way
    reason: str = ""
    group: str | None = None
    weight: int = 1
    timeout_s: float | None = None
    must_match: tuple[str, ...] = ()
    shared: Mapping[Any, Any] = {}


def decide(facts: Facts, *, all_tests: bool, process_wide: Collection[str] = ()) -> Plan:
    """The plan of one test.

    Args:
        facts: What is known about it.
        all_tests: Whether asynchronous tests overlap without a marker.
        process_wide: Fixtures that change the process, besides `PROCESS_WIDE`.
    """
    if not facts.is_coroutine or facts.is_foreign:
        return Plan(way="outside")
    marks = facts.marks
    alone = Plan(way="alone", timeout_s=marks.timeout)
    if marks.wanted is False or (marks.wanted is None and not all_tests):
        return alone
    reason = _reason_alone(facts, process_wide)
    if reason:
        return msgspec.structs.replace(alone, reason=reason)
    return Plan(
        way="together",
        group=marks.group,
        weight=marks.weight,
        timeout_s=marks.timeout,
        must_match=facts.filters + facts.scopes,
        shared=facts.shared,
    )


def _reason_alone(facts: Facts, process_wide: Collection[str]) -> str:
    if facts.reason_alone:
        return facts.reason_alone
    if used := sorted((PROCESS_WIDE | frozenset(process_wide)).intersection(facts.fixtures)):
        return f"uses {', '.join(used)}"
    if facts.is_hypothesis:
        return "is run by hypothesis"
    if facts.narrows:
        return f"parametrises the wider fixture {facts.narrows!r} for itself"
    return ""


def read_marks(
    node_id: str, marks: Iterable[tuple[str, Collection[Any], Mapping[str, Any]]]
) -> Marks:
    """What the markers of a test say.

    Args:
        node_id: The test.
        marks: Name, arguments and keyword arguments of each, the closest first.

    Raises:
        ConfigurationError: An argument is unknown or has a wrong type.
    """
    wanted: bool | None = None
    given: dict[str, Any] = {}
    for name, arguments, keywords in marks:
        if name == "sequential":
            _refuse(node_id, name, (*arguments, *keywords))
            wanted = False if wanted is None else wanted
            continue
        _refuse(node_id, name, arguments)
        wanted = True if wanted is None else wanted
        for key, value in keywords.items():
            given.setdefault(key, _checked(node_id, key, value))
    return Marks(wanted=wanted, **given)


_EXPECTED: dict[str, tuple[Any, str]] = {
    "group": (str, "a text"),
    "timeout": (float, "a number of seconds above 0"),
    "weight": (int, "a whole number of at least 1"),
}


def _checked(node_id: str, key: str, value: Any) -> Any:
    if key not in _EXPECTED:
        raise ConfigurationError(
            f"{node_id} has the marker concurrent({key}={value!r}), which takes only "
            f"{', '.join(_EXPECTED)}"
        )
    kind, expected = _EXPECTED[key]
    accepted = (int, float) if kind is float else kind
    wrong = isinstance(value, bool) or not isinstance(value, accepted)
    if wrong or (kind is not str and value < (1 if kind is int else 1e-9)):
        raise ConfigurationError(
            f"{node_id} has the marker concurrent({key}={value!r}), and {key} must be {expected}"
        )
    return kind(value)


def _refuse(node_id: str, name: str, arguments: Collection[Any]) -> None:
    if arguments:
        shown = ", ".join(map(repr, arguments))
        raise ConfigurationError(
            f"{node_id} has the marker {name}({shown}), which takes "
            + ("no arguments" if name == "sequential" else f"only {', '.join(_EXPECTED)} by name")
        )


class Segment:
    """What the tests that are in flight together have in common.

    Args:
        limit: How many may be in flight, counted by weight.
        groups: The same for each group of tests; one that is not named has 1.
    """

    def __init__(self, limit: int, groups: Mapping[str, int]) -> None:
        self._limit = limit
        self._groups = groups
        self._first: Plan | None = None
        self._shared: dict[Any, Any] = {}
        self._weight = 0
        self._count = 0
        self._in_group: dict[str, int] = {}

    def belongs(self, plan: Plan) -> bool:
        """Whether a test can be in flight with those that were."""
        first = self._first
        if first is None:
            return plan.way != "outside"
        if first.way != "together" or plan.way != "together":
            return False
        return plan.must_match == first.must_match and not any(
            self._shared.get(key, value) != value for key, value in plan.shared.items()
        )

    def has_room(self, plan: Plan) -> bool:
        """Whether it can start now, apart from its group: the tests after it wait, too."""
        return not self._count or self._weight + plan.weight <= self._limit

    def group_has_room(self, plan: Plan) -> bool:
        """Whether its group lets it start now: tests after it need not wait."""
        group = plan.group
        return group is None or self._in_group.get(group, 0) < self._groups.get(group, 1)

    def start(self, plan: Plan) -> None:
        """A test starts."""
        self._first = self._first or plan
        self._shared.update(plan.shared)
        self._count += 1
        self._weight += plan.weight
        if plan.group is not None:
            self._in_group[plan.group] = self._in_group.get(plan.group, 0) + 1

    def end(self, plan: Plan) -> None:
        """A test has ended."""
        self._count -= 1
        self._weight -= plan.weight
        if plan.group is not None:
            self._in_group[plan.group] -= 1
