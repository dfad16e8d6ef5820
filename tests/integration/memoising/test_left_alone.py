"""Operations that are left alone in the midst of a run, while tables of theirs are kept.

The verdicts are planted: what is left alone may not depend on how fast the machine is.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, text

from memoised import Compared, Program, Trial
from pytest_slipstream.databases.memoising import worth

REASON = "to replace it took longer: 2.0 ms instead of 1.0 ms"
ENGINES = ["compared", "compared_on_mysql"]


@pytest.fixture(params=ENGINES)
def compared_on_either(request: pytest.FixtureRequest) -> Compared:
    found: Compared = request.getfixturevalue(request.param)
    return found


def shop(look_after: Callable[[int], bool]) -> Program:
    """Tables for each of some tests, with a look at the database after some of them."""
    metadata = MetaData()
    Table("person", metadata, Column("id", Integer, primary_key=True), Column("name", String(20)))
    Table(
        "purchase",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("person_id", ForeignKey("person.id")),
    )

    def program(trial: Trial) -> None:
        for number in range(4):
            metadata.create_all(trial.engine)
            trial.execute("INSERT INTO person (name) VALUES ('Ada')")
            with trial.engine.begin() as connection:
                trial.seen.append(connection.execute(text("SELECT * FROM person")).all())
            if look_after(number):
                trial.look()
            metadata.drop_all(trial.engine)
        trial.look()

    return program


def test_what_is_given_up_runs_as_written_from_then_on(
    compared_on_either: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worth, "JUDGED_BY", 3)
    monkeypatch.setattr(worth, "too_dear", lambda operations: REASON)
    counts = compared_on_either(lambda: shop(lambda number: number == 2))
    assert 3 <= sum(counts.times.values()) < 10
    assert REASON in counts.reasons


def test_calls_without_a_look_change_nothing(
    compared_on_either: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worth, "IN_VAIN", 2)
    monkeypatch.setattr(worth, "calls_to_rest", lambda looks_s, written_s: 3)
    counts = compared_on_either(lambda: shop(lambda number: number % 2 == 0))
    monkeypatch.setattr(worth, "IN_VAIN", 1)
    counts_of_more = compared_on_either(lambda: shop(lambda number: number == 3))
    reasons = counts.reasons | counts_of_more.reasons
    assert any(reason.startswith("not looked at") for reason in reasons)
