"""What pytest knows about tests, as the plain values that plans are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from pytest_slipstream.running import compatibility
from pytest_slipstream.running.company import Company
from pytest_slipstream.running.plans import Facts, Marks, read_marks
from pytest_slipstream.running.pytest_internals import (
    definitions,
    is_narrowed,
    is_wide,
    parameters,
    scope_node,
)

_MARKERS = ("concurrent", "sequential")
_NO_PARAMETER = "slipstream: no parameter"
Key = tuple[str, Any]


def marks_of(item: pytest.Item) -> Marks:
    """What the markers of a test say.

    Raises:
        ConfigurationError: One of them is wrong.
    """
    return read_marks(
        item.nodeid,
        [
            (mark.name, mark.args, mark.kwargs)
            for mark in item.iter_markers()
            if mark.name in _MARKERS
        ],
    )


def of_all(items: Iterable[pytest.Item], company: Company) -> dict[pytest.Item, Facts]:
    """The facts of all collected tests.

    Args:
        items: The tests.
        company: May want a test to run alone.

    Raises:
        ConfigurationError: A marker is wrong.
    """
    parametrised = {item: _parametrised(item) for item in items}
    keys = {key for of_item in parametrised.values() for key in of_item}
    names = {name for name, _ in keys}
    return {
        item: _facts(item, {**_unparametrised(item, names, keys), **own}, company)
        for item, own in parametrised.items()
    }


def _facts(item: pytest.Item, shared: Mapping[Key, object], company: Company) -> Facts:
    marks = marks_of(item)
    if not compatibility.is_coroutine_test(item):
        return Facts(is_coroutine=False, marks=marks)
    return Facts(
        is_coroutine=True,
        marks=marks,
        is_foreign=compatibility.is_foreign(item),
        is_hypothesis=compatibility.is_hypothesis(item),
        fixtures=frozenset(getattr(item, "fixturenames", ())),
        narrows=_narrowed(item),
        shared=shared,
        filters=tuple(
            argument for mark in item.iter_markers("filterwarnings") for argument in mark.args
        ),
        scopes=_scopes(item) if company.shares else (),
        reason_alone=company.reason_alone(item),
    )


def _parametrised(item: pytest.Item) -> dict[Key, object]:
    """The wider fixtures that a test gives a parameter to; a value stands for itself if it can be
    compared, and for its identity if not.
    """
    found: dict[Key, object] = {}
    for name, value in parameters(item).items():
        for definition in definitions(item).get(name, ()):
            if is_wide(definition):
                found[name, scope_node(definition, item)] = _comparable(value)
    return found


def _unparametrised(item: pytest.Item, names: set[str], keys: set[Key]) -> dict[Key, object]:
    found: dict[Key, object] = {}
    for name in names.intersection(definitions(item)):
        for definition in definitions(item)[name]:
            if is_wide(definition) and (key := (name, scope_node(definition, item))) in keys:
                found[key] = _NO_PARAMETER
    return found


def _scopes(item: pytest.Item) -> tuple[str, ...]:
    """Classes, modules and packages whose fixtures a test uses."""
    nodes = {
        scope_node(definition, item)
        for name, found in definitions(item).items()
        for definition in found
        if is_wide(definition) and not compatibility.is_plugins(definition)
    }
    return tuple(node.nodeid for node in item.listchain()[1:-1] if node in nodes)


def _comparable(value: object) -> object:
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _narrowed(item: pytest.Item) -> str:
    for name in parameters(item):
        for definition in definitions(item).get(name, ()):
            if is_wide(definition) and is_narrowed(item, name, definition):
                return name
    return ""
