"""Layers: what fixtures wider than a function wrote, kept for as long as they live.

Each wider fixture has a layer of its own, taken when its set-up is over, so that it holds that
fixture's writes and nobody else's; one that failed or skipped has none. It goes when the fixture is
finished or its node is torn down, whichever comes first; all of a lane's go before another lane is
entered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from _pytest import nodes

from pytest_slipstream import events
from pytest_slipstream.clock import clock
from pytest_slipstream.databases.database import Database
from pytest_slipstream.databases.lanes.lanes import Lanes
from pytest_slipstream.errors import IsolationError

Node = nodes.Node
Fixture = pytest.FixtureDef[object]


class Layer:
    """One layer: whose it is and in which databases it lies.

    Args:
        node: It ends with this node, or before.
        fixturedef: It ends with this fixture; None for what a test itself wrote.
    """

    def __init__(self, node: Node, fixturedef: Fixture | None) -> None:
        self.node = node
        self.fixturedef = fixturedef
        self.finished = False
        self.tables: dict[str, tuple[str, ...]] = {}
        self.numbers: dict[str, int] = {}
        """By the database's name, as in `Database.layers`."""

    def ended(self, surviving: Collection[Node] | None) -> bool:
        """Whether its fixture was finished, or its node is not set up any more.

        Args:
            surviving: The nodes that stay set up; None while all do.
        """
        return self.finished or (surviving is not None and self.node not in surviving)


class Layers:
    """The stack of layers of this process, over all databases of the lane that is entered."""

    def __init__(self, lanes: Lanes, emit: Callable[[events.Event], None]) -> None:
        self._lanes = lanes
        self._emit = emit
        self._stack: list[Layer] = []
        self._setting_up: list[tuple[Fixture, Node]] = []

    @contextmanager
    def of(self, fixturedef: Fixture, node: Node) -> Iterator[None]:
        """While a wider fixture is set up; what it wrote by then becomes its layer."""
        if self._setting_up:  # it was asked for by another one, which may have written already
            outer, outer_node = self._setting_up[-1]
            self._push(Layer(outer_node, outer))
        self._setting_up.append((fixturedef, node))
        try:
            yield
            self._push(Layer(node, fixturedef))
        finally:
            self._setting_up.pop()

    def set_apart(self, item: pytest.Item) -> None:
        """What a running test has written becomes a layer of its own, which ends with it.

        For a wider fixture that a test asks for in mid-test: the fixture's layer lies on top, and
        when the test's layer is taken from under it, the fixture's writes alone remain.
        """
        self._push(Layer(item, None))

    def _push(self, layer: Layer) -> None:
        for name, database in self._lanes.current.databases.items():
            start = clock.seconds()
            tables = database.push_layer()
            if tables:
                layer.tables[name] = tables
                layer.numbers[name] = database.layers[-1]
                self._emit(
                    events.LayerPushed(
                        database=database.name,
                        scope_id=layer.node.nodeid,
                        fixtures=(layer.fixturedef.argname,) if layer.fixturedef else (),
                        tables=tables,
                        seconds=clock.seconds() - start,
                    )
                )
        if layer.tables:
            self._stack.append(layer)

    def check_all_of(self, item: pytest.Item) -> None:
        """A test in flight gets all layers that there are: each must be one of a node of its own.

        Raises:
            IsolationError: One is another module's, or another class's.
        """
        nodes_of_item = item.listchain()
        for layer in self._stack:
            if layer.node not in nodes_of_item:
                raise IsolationError(
                    f"{item.nodeid} would find what a fixture of {layer.node.nodeid} wrote, "
                    "which is still set up because tests of it come later",
                    hint="run the tests of a module or class in one row, or mark the test with "
                    "@pytest.mark.sequential",
                )

    def lies_above(self, fixturedef: Fixture, databases: Mapping[str, Database]) -> bool:
        """Whether a fixture has a layer that a test's slots were laid out without."""
        return any(
            layer.fixturedef is fixturedef
            and any(layer.numbers[name] not in databases[name].layers for name in layer.tables)
            for layer in self._stack
        )

    def finish(self, fixturedef: Fixture) -> None:
        """A wider fixture was finished."""
        for layer in self._stack:
            layer.finished |= layer.fixturedef is fixturedef

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
            database = self._lanes.current.databases[name]
            database.pop_layer(_lying_in(name, above))
            self._emit(
                events.LayerPopped(
                    database=database.name,
                    scope_id=layer.node.nodeid,
                    seconds=clock.seconds() - start,
                )
            )


def _lying_in(database: str, layers: Iterable[Layer]) -> int:
    return sum(database in layer.tables for layer in layers)
