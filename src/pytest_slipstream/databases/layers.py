"""Layers: what fixtures wider than a function wrote, kept for as long as they live.

A layer is taken when the fixtures of one scope node have been set up and before anything narrower
runs, so that it holds their writes and nobody else's. It goes when its node is torn down or when
all its fixtures were finished earlier (pytest finishes a parametrised fixture between two tests).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import pytest
from _pytest import nodes

from pytest_slipstream import events
from pytest_slipstream.clock import clock
from pytest_slipstream.databases.database import Database

Node = nodes.Node
Fixture = pytest.FixtureDef[object]


class Layer:
    """One layer: whose it is and in which databases it lies."""

    def __init__(self, node: Node, fixtures: tuple[Fixture, ...]) -> None:
        self.node = node
        self.names = _named(node, fixtures)
        self.tables: dict[str, tuple[str, ...]] = {}
        self._alive = set(fixtures)

    def finish(self, fixturedef: Fixture) -> None:
        """One of its fixtures was finished."""
        self._alive.discard(fixturedef)

    def ended(self, surviving: Collection[Node] | None) -> bool:
        """Whether its node is not set up any more, or none of its fixtures is.

        Args:
            surviving: The nodes that stay set up; None while all do.
        """
        if surviving is not None and self.node not in surviving:
            return True
        return bool(self.names) and not self._alive


class Layers:
    """The stack of layers of this process, over all its databases."""

    def __init__(
        self, databases: Mapping[str, Database], emit: Callable[[events.Event], None]
    ) -> None:
        self._databases = databases
        self._emit = emit
        self._stack: list[Layer] = []
        self._node: Node | None = None
        self._pending: list[Fixture] = []

    def expect(self, fixturedef: Fixture, node: Node) -> None:
        """A wider fixture is about to be set up for ``node``."""
        if self._pending and self._node is not node:
            self.push()
        self._node = node
        self._pending.append(fixturedef)

    def push(self) -> None:
        """Everything that the expected fixtures wrote becomes a layer of their node."""
        pending, self._pending = self._pending, []
        if pending and self._node is not None:
            self._push(Layer(self._node, tuple(pending)))

    def set_apart(self, item: pytest.Item) -> None:
        """What a running test has written becomes a layer of its own, which ends with it.

        For a wider fixture that a test asks for in mid-test: the fixture's layer lies on top, and
        when the test's layer is taken from under it, the fixture's writes alone remain.
        """
        self._push(Layer(item, ()))

    def _push(self, layer: Layer) -> None:
        for name, database in self._databases.items():
            start = clock.seconds()
            tables = database.push_layer()
            if tables:
                layer.tables[name] = tables
                self._emit(
                    events.LayerPushed(
                        database=name,
                        scope_id=layer.node.nodeid,
                        fixtures=layer.names,
                        tables=tables,
                        seconds=clock.seconds() - start,
                    )
                )
        if layer.tables:
            self._stack.append(layer)

    def finished(self, fixturedef: Fixture) -> None:
        """A wider fixture was finished; its layer ends with the last of its fixtures."""
        for layer in self._stack:
            layer.finish(fixturedef)

    def any_ended(self, surviving: Collection[Node] | None) -> bool:
        """Whether `pop_ended` would undo a layer."""
        return any(layer.ended(surviving) for layer in self._stack)

    def pop_ended(self, surviving: Collection[Node] | None) -> None:
        """Undo the layers that have ended, the topmost first."""
        for layer in reversed(tuple(self._stack)):
            if layer.ended(surviving):
                self._pop(layer)

    def _pop(self, layer: Layer) -> None:
        above = self._stack[self._stack.index(layer) + 1 :]
        self._stack.remove(layer)
        for name in layer.tables:
            start = clock.seconds()
            self._databases[name].pop_layer(_lying_in(name, above))
            self._emit(
                events.LayerPopped(
                    database=name,
                    scope_id=layer.node.nodeid,
                    seconds=clock.seconds() - start,
                )
            )


def _named(node: Node, fixtures: Iterable[Fixture]) -> tuple[str, ...]:
    """The fixtures that may have written: the project's own, not those of other plugins."""
    root = str(node.config.rootpath)
    own = []
    for fixturedef in fixtures:
        code = getattr(fixturedef.func, "__code__", None)
        if code is None or code.co_filename.startswith(root) or "setup_" in fixturedef.argname:
            own.append(fixturedef.argname)
    return tuple(own) or tuple(fixturedef.argname for fixturedef in fixtures)


def _lying_in(database: str, layers: Iterable[Layer]) -> int:
    return sum(database in layer.tables for layer in layers)
