"""A slot of a schema that a test gives, on one product, and connections as an application has them.

The invariant: whatever a test does, its slot and its template go when it ends.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from pytest_slipstream.databases import naming
from pytest_slipstream.databases.engines.protocol import Cleaning, Engine, Owner, Slot


class TrialSlot:
    """A slot with the digest it started with."""

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self.engine = engine
        self.slot = slot
        self.before = slot.digest()
        self.connections: list[Any] = []

    def connect(self) -> Any:
        """A new connection, autocommit off; closed after the test at the latest."""
        self.connections.append(self.engine.connect(self.slot.address))
        return self.connections[-1]

    def commit(self, *statements: str) -> None:
        """Run statements in one transaction, on a connection that is closed afterwards."""
        with closing(self.engine.connect(self.slot.address)) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()

    def value(self, query: str) -> Any:
        """The first value of a query."""
        with closing(self.engine.connect(self.slot.address)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return cursor.fetchone()[0]

    def differences(self) -> set[str]:
        """The keys in which the slot differs from how it started."""
        now = self.slot.digest()
        return {
            key for key in now.keys() | self.before.keys() if now.get(key) != self.before.get(key)
        }

    def reset(self) -> Cleaning:
        """Clean in place and see that this was enough."""
        cleaning = self.slot.clean()
        assert cleaning.cannot is None, cleaning.cannot
        assert self.differences() == set()
        assert self.slot.clean() == Cleaning()
        return cleaning

    def escalate(self) -> Cleaning:
        """Clean, see that this was refused, and make the slot anew."""
        cleaning = self.slot.clean()
        assert cleaning.cannot is not None
        self.slot.replace()
        assert self.differences() == set()
        return cleaning


def names_of_slots(owner: Owner) -> Iterator[str]:
    """One after the other, for slots of the database ``main``."""
    for number in itertools.count():
        yield naming.slot_name(owner.testrun_uid, owner.worker, "main", number)


Make = Callable[[str], TrialSlot]


@contextmanager
def trial_slots(
    engine: Engine, slot_names: Iterator[str], failures: type[Exception]
) -> Iterator[Make]:
    """While it lasts, a function that makes a template from a script and a slot from that.

    Args:
        engine: Open.
        slot_names: Names of slots that no other test has.
        failures: What the driver raises where slipstream has ended a connection that is closed.
    """
    made: list[tuple[TrialSlot, str]] = []

    def make(script: str) -> TrialSlot:
        template = naming.template_name("main", uuid.uuid4().hex)
        with engine.build_lock(template):
            try:
                engine.run_script(engine.begin_build(template), script)
                engine.publish(template, "main", template)
            except BaseException:
                engine.abandon_build(template)
                raise
        made.append((TrialSlot(engine, engine.create_slot(next(slot_names), template)), template))
        return made[-1][0]

    try:
        yield make
    finally:
        for trial, template in made:
            for connection in trial.connections:
                with suppress(failures):
                    connection.close()
            trial.slot.close()
            engine.drop_template(template)
