"""Random programs against every engine and strategy: whatever they did, the slot is clean again.

The oracle is `Slot.digest`, which shares nothing with cleaning. Under `rollback` connections pass
the door, and some outlive their test, as in a pool.

How many programs are run in all is ``max_examples`` of the Hypothesis profile
(``--hypothesis-profile``): 100 by default, 2,000 in ``ci``, 20,000 in ``deep``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings
from tests.contract.conftest import Product, execute, new_template_name
from tests.contract.programs import (
    CLOSING,
    GOING_ON,
    HIDDEN_NUMBER,
    ONLY_HISTORY,
    End,
    Pop,
    Push,
    Statement,
    Test,
    programs,
)
from tests.contract.turns import Turns, turns

from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Slot
from pytest_slipstream.errors import IsolationError

# One test is hundreds of programs.
pytestmark = pytest.mark.timeout(1500)

# A program costs 0.03 s on SQLite and 0.3 s on PostgreSQL.
SHARES = {
    ("sqlite", "reset"): 0.3,
    ("sqlite", "clone"): 0.1,
    ("sqlite", "rollback"): 0.2,
    ("sqlite-memory", "reset"): 0.1,
    ("sqlite-memory", "clone"): 0.06,
    ("sqlite-memory", "rollback"): 0.1,
    ("postgresql", "reset"): 0.08,
    ("postgresql", "clone"): 0.02,
    ("postgresql", "rollback"): 0.06,
    ("mysql", "reset"): 0.04,
    ("mysql", "clone"): 0.02,
    ("mysql", "rollback"): 0.03,
}


class Run:
    """One program on one slot.

    Args:
        template: The slot's digest without any layer.
        turns: With the strategy `rollback`, what begins and ends it.
    """

    def __init__(
        self,
        product: Product,
        engine: Engine,
        slot: Slot,
        isolation: str,
        template: dict[str, str],
        turns: Turns | None,
    ) -> None:
        self._product = product
        self._engine = engine
        self._slot = slot
        self._isolation = isolation
        self._turns = turns
        self._expected = [template]
        self._connections: dict[int, Any] = {}
        self._cursors: list[Any] = []

    def run(self, program: list[Test | Push | Pop]) -> None:
        """Run a program, and see after every step that the slot is what it must be."""
        try:
            for step in program:
                self._step(step)
            while len(self._expected) > 1:
                self._pop(0)
        finally:
            self._close_all()

    def _step(self, step: Test | Push | Pop) -> None:
        if isinstance(step, Test):
            if self._turns is not None:
                self._turns.begin()
            self._act(step.actions)
            if not step.left_open:
                self._close_all()
            if self._clean():
                self._close_all()
        elif isinstance(step, Push):
            self._act(step.actions)
            self._close_all(commit=True)
            try:
                pushed = self._slot.push_layer()
                if self._turns is not None:
                    self._turns.discard()
            except IsolationError as error:  # MySQL keeps a view whose table is gone
                note(f"no layer: {error}")
                self._replace()
            else:
                self._expected += [self._slot.digest()] if pushed else []
        else:
            self._pop(min(step.depth, len(self._expected) - 2))
        self._check()

    def _clean(self) -> bool:
        """Clean the slot; whether connections should not be used any more."""
        if self._turns is not None:
            cleaning = self._turns.clean()
        elif self._isolation == "reset":
            cleaning = self._slot.clean()
        else:
            cleaning = Cleaning(cannot="it is cloned")
        if cleaning.cannot is not None:
            note(f"replaced: {cleaning.cannot}")
            self._replace()
        contained = self._turns is not None and self._turns.contained
        return not contained or bool(cleaning.cannot or cleaning.leftovers)

    def _replace(self) -> None:
        if self._turns is not None:
            self._turns.discard()
        self._slot.replace()

    def _pop(self, depth: int) -> None:
        if depth < 0:
            return
        self._close_all()
        if self._slot.pop_layer(depth).cannot is not None:
            self._replace()
        del self._expected[-1 - depth]
        if depth:  # what the upper layer is without the lower one has tests of its own
            self._expected[-1] = self._slot.digest()
        self._check()

    def _check(self) -> None:
        found, expected = self._slot.digest(), self._expected[-1]
        differing = {
            key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)
        }
        assert not differing, {key: (expected.get(key), found.get(key)) for key in differing}

    def _act(self, steps: tuple[Statement | End, ...]) -> None:
        for step in steps:
            try:
                self._one(step)
            except (self._product.errors, IsolationError) as error:
                note(f"{step}: {error}")
                self._recover(step.connection)

    def _one(self, step: Statement | End) -> None:
        connection = self._connection(step.connection)
        if isinstance(step, End):
            if step.how == "close":  # it is closed, too, where it says that it cannot roll back
                del self._connections[step.connection]
            getattr(connection, step.how)()
            return
        cursor = execute(connection, step.sql)
        self._cursors.append(cursor)
        if cursor.description is not None:
            if step.read is None:
                cursor.fetchall()
            else:
                cursor.fetchmany(step.read or 1)

    def _connection(self, number: int) -> Any:
        if number not in self._connections:
            connection = self._engine.connect(self._slot.address)
            execute(connection, self._product.impatience)
            connection.commit()
            self._connections[number] = connection
        return self._connections[number]

    def _recover(self, number: int) -> None:
        """A failed statement ends PostgreSQL's transaction; the program goes on."""
        connection = self._connections.get(number)
        if connection is None or self._product.settings.engine == "sqlite":
            return
        try:
            connection.rollback()
        except (self._product.errors, IsolationError):
            self._close(connection)
            del self._connections[number]

    def _close(self, connection: Any) -> None:
        try:
            connection.close()
        except IsolationError as error:  # it would roll back, and cannot
            note(f"closing: {error}")

    def _close_all(self, *, commit: bool = False) -> None:
        for cursor in self._cursors:
            try:
                cursor.close()
            except (self._product.errors, IsolationError) as error:
                note(f"closing a cursor: {error}")
        for connection in self._connections.values():
            try:
                if commit:
                    connection.commit()
            except self._product.errors as error:
                note(f"committing at the end: {error}")
            self._close(connection)
        self._connections.clear()
        self._cursors.clear()


@pytest.fixture(scope="module", params=["reset", "clone", "rollback"])
def isolation(request: pytest.FixtureRequest) -> str:
    """The strategies after which a slot is clean."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def rich_template(engine: Engine, product: Product) -> str:
    """A template with all kinds of objects that the product has."""
    template = new_template_name()
    with engine.build_lock(template):
        address = engine.begin_build(template)
        for script in (product.schema, product.seed, product.more_schema):
            engine.run_script(address, script)
        engine.publish(template, "main", template)
    return template


class Slots:
    """The slot on which programs are run, one after the other; a failed one's is not used again."""

    def __init__(self, engine: Engine, template: str, names: Iterator[str]) -> None:
        self._engine = engine
        self._template = template
        self._names = names
        self._slot: Slot | None = None
        self._digest: dict[str, str] = {}

    def get(self) -> tuple[Slot, dict[str, str]]:
        """A clean slot and its digest."""
        if self._slot is None:
            self._slot = self._engine.create_slot(next(self._names), self._template)
            self._digest = self._slot.digest()
        return self._slot, self._digest

    def discard(self) -> None:
        """Drop the slot."""
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.close()


@pytest.fixture(scope="module")
def slots(
    engine: Engine, rich_template: str, slot_names: Iterator[str]
) -> Generator[Slots, None, None]:
    """The slots of random programs."""
    found = Slots(engine, rich_template, slot_names)
    yield found
    found.discard()


def test_a_slot_is_clean_after_any_program(
    product: Product, engine: Engine, slots: Slots, isolation: str
) -> None:
    share = SHARES[product.label, isolation]

    @settings(
        max_examples=max(1, round(settings().max_examples * share)),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs(product))
    @example(CLOSING)
    @example(GOING_ON)
    @example(ONLY_HISTORY)
    @example(HIDDEN_NUMBER)
    def check(program: list[Test | Push | Pop]) -> None:
        slot, template = slots.get()
        try:
            with turns(slot) if isolation == "rollback" else nullcontext() as its_turns:
                Run(product, engine, slot, isolation, template, its_turns).run(program)
        except BaseException:
            slots.discard()
            raise

    check()
