"""From pytest's items to the plain values that schedulers decide on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from pytest_slipstream.marks import is_any_marked
from pytest_slipstream.scheduling.estimates import Estimates
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test

UNKNOWN_FIXTURE_S = 0.1
"""A wider fixture of the project that was never measured."""

CHEAP_S = 0.02
"""A fixture that takes no longer does not keep its tests together."""

_GROUP = "xdist_group"
_NODES: Mapping[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
}


def suite(items: Sequence[pytest.Item], estimates: Estimates) -> Suite:
    """What a scheduler needs to know of collected items, in their order."""
    fixtures: dict[str, Fixture] = {}
    costs: dict[str, float] = {}

    def needed(item: pytest.Item) -> Iterator[str]:
        for fixturedef in wider_fixtures(item):
            key = fixture_key(fixturedef)
            if key not in costs:
                costs[key] = _cost(estimates, fixturedef, key)
            if costs[key] > CHEAP_S:
                value = f"{key} {_scope(item, fixturedef)} {_parameter(item, fixturedef)}"
                fixtures[value] = Fixture(costs[key], binds=fixturedef.scope != "session")
                yield value

    are_grouped = is_any_marked(items, _GROUP)
    tests = [
        Test(
            node_id=(name := node_id(item)),
            seconds=estimates.test(name),
            fixtures=tuple(needed(item)),
            group=group(item) if are_grouped else None,
        )
        for item in items
    ]
    return Suite(tests, fixtures)


def node_id(item: pytest.Item) -> str:
    """pytest's, without what ``--dist loadgroup`` appends to it."""
    name = item.nodeid
    if "@" not in name:  # looking a mark up takes longer than all else that is measured
        return name
    return name.removesuffix(f"@{group(item)}")


def group(item: pytest.Item) -> str | None:
    """The test's ``xdist_group``, as pytest-xdist reads it."""
    mark = item.get_closest_marker(_GROUP)
    if mark is None:
        return None
    return str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))


def wider_fixtures(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """The fixtures in a test's closure whose scope is wider than the test."""
    # No public name leads from an item to the definitions of its fixtures.
    info: Any = getattr(item, "_fixtureinfo", None)
    if info is None:
        return
    for name in info.names_closure:
        for fixturedef in info.name2fixturedefs.get(name, ())[-1:]:
            if fixturedef.scope != "function":
                yield fixturedef


def fixture_key(fixturedef: pytest.FixtureDef[Any]) -> str:
    """Where a fixture is defined, and its name."""
    return f"{fixturedef.baseid}::{fixturedef.argname}"


def _cost(estimates: Estimates, fixturedef: pytest.FixtureDef[Any], key: str) -> float:
    known = estimates.fixture(key)
    if known is not None:
        return known
    of_project = bool(fixturedef.baseid) and fixturedef.scope != "session"
    return UNKNOWN_FIXTURE_S if of_project else 0.0


def _scope(item: pytest.Item, fixturedef: pytest.FixtureDef[Any]) -> str:
    if fixturedef.scope == "session":
        return ""
    node = item.getparent(_NODES[fixturedef.scope]) or item.parent
    return node.nodeid if node is not None else ""


def _parameter(item: pytest.Item, fixturedef: pytest.FixtureDef[Any]) -> str:
    callspec = getattr(item, "callspec", None)
    indices = callspec.indices if callspec is not None else {}
    return str(indices.get(fixturedef.argname, ""))
