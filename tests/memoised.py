"""Programs that make and drop their own tables on a server, as they are and memoised.

The invariant: the two runs have a new database each, and all that they hold is seen.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from pytest_slipstream import events
from pytest_slipstream.databases.engines.postgresql import content
from pytest_slipstream.databases.engines.protocol import Address
from pytest_slipstream.databases.memoising.memoising import Memoising
from pytest_slipstream.databases.memoising.postgresql.places import told
from pytest_slipstream.databases.memoising.postgresql.state import PREFIX
from pytest_slipstream.databases.urls import url

ROUNDS = 6
MADE = 3
"""So many rounds go by until everything is known: unseen, learnt, and tables that can be kept."""
NEVER_SAMPLED = "00000001" + "0" * 24
NewDatabase = Callable[[], Address]


class Trial:
    """A database, its engine and what a program has seen of it."""

    def __init__(self, address: Address, driver: str = "") -> None:
        self.address = address
        self.engine = create_engine(url(address, driver=driver or None))
        self.seen: list[object] = []

    def look(self, *rest: object) -> None:
        """Note what the database holds, as everybody sees it."""
        self.seen.append((self.content(), *rest))

    def content(self) -> dict[str, str]:
        return told(content.digest(self.address))

    def is_left(self) -> bool:
        """Whether anything of slipstream's is still there."""
        return any(PREFIX in key for key in content.digest(self.address))

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))


Program = Callable[[Trial], None]


class Counts:
    """What a memoising says that it did."""

    def __init__(self, memoising: Memoising) -> None:
        happened: list[events.Event] = []
        memoising.report(happened.append)
        memoised = [e for e in happened if isinstance(e, events.OperationMemoised)]
        self.replaced = {e.operation.split()[0]: e.times for e in memoised}
        self.times = {e.operation: e.times for e in memoised}
        self.checked = sum(e.checked for e in memoised)
        self.reasons = {e.reason for e in happened if isinstance(e, events.OperationAsWritten)}
        self.differences = [e for e in happened if isinstance(e, events.MemoDiffered)]


def held_to_plain(run: Callable[[Memoising | None], object], *, audit: bool = False) -> Counts:
    """Run something as it is and memoised: what it comes to must be equal.

    Args:
        run: Is given None at first, then what memoises it and may be taken down before a last look.
        audit: Check everything that is restored.
    """
    plain = run(None)
    memoising = Memoising(NEVER_SAMPLED, audit=audit)
    memoising.put_up()
    try:
        memoised = run(memoising)
    finally:
        memoising.take_down()
    counts = Counts(memoising)
    assert memoised == plain
    assert counts.differences == []
    return counts


class Compared:
    """Runs programs as they are and memoised, and holds the one to the other."""

    def __init__(self, new_database: NewDatabase, trial: type[Trial] = Trial) -> None:
        self._new_database = new_database
        self._trial = trial

    def __call__(
        self, make: Callable[[], Program], *, audit: bool = False, driver: str = ""
    ) -> Counts:
        return held_to_plain(lambda memoising: self._run(make(), driver, memoising), audit=audit)

    def _run(self, program: Program, driver: str, memoising: Memoising | None) -> list[object]:
        trial = self._trial(self._new_database(), driver)
        try:
            for _ in range(ROUNDS):
                try:
                    program(trial)
                except SQLAlchemyError as error:
                    trial.seen.append(type(error))
        finally:
            trial.engine.dispose()
            if memoising is not None:
                memoising.take_down()
        assert not trial.is_left()
        trial.look()
        return trial.seen
