"""What does not pay is left alone, decided by nothing but seconds that are given."""

from __future__ import annotations

import pytest

from pytest_slipstream.databases.memoising.worth import (
    ALLOWED,
    IN_VAIN,
    JUDGED_BY,
    Typical,
    Worth,
    calls_to_rest,
    too_dear,
)

CREATE = Typical(uses=10, saved_s=0.020, written_s=0.025)
DEAR_DROP = Typical(uses=10, saved_s=-0.005, written_s=0.003)


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([], id="nothing is known"),
        pytest.param([CREATE], id="it saves"),
        pytest.param(
            [CREATE, DEAR_DROP], id="a drop that is dear, and a create that it makes cheap"
        ),
        pytest.param([Typical(10, 0.0, 0.001)], id="neither"),
    ],
)
def test_what_pays_goes_on(operations: list[Typical]) -> None:
    assert too_dear(operations) is None


def test_what_costs_more_than_it_saves_is_given_up_with_its_figures() -> None:
    reason = "to replace it took longer: 8.0 ms instead of 3.0 ms"
    assert too_dear([DEAR_DROP]) == reason
    assert too_dear([DEAR_DROP, Typical(10, 0.001, 0.002)]) == (
        "to replace it took longer: 4.5 ms instead of 2.5 ms"
    )


def reasons(worth: Worth, operation: str, times: int, taken_s: float) -> list[str | None]:
    """An operation that is replaced wherever it is looked at."""
    given = []
    for _ in range(times):
        key, reason = worth.begin(operation)
        given.append(reason)
        if reason is None:
            worth.replaced(key, taken_s)
    return given


def learnt(operation: str, written_s: float) -> Worth:
    """Of which it is known what it takes as it is written, whatever came before."""
    worth = Worth()
    for _ in range(2):
        key, _ = worth.begin(operation)
        worth.vain(key, 0.1, written_s, "new")
    return worth


def test_dear_replacements_end_for_the_rest_of_the_run() -> None:
    given = reasons(learnt("create", 0.008), "create", 100, taken_s=0.012)
    assert given[:JUDGED_BY] == [None] * JUDGED_BY
    assert set(given[JUDGED_BY:]) == {"to replace it took longer: 12.0 ms instead of 8.0 ms"}


def test_cheap_replacements_go_on_whatever_it_took_to_learn() -> None:
    worth = learnt("create", 0.008)
    assert set(reasons(worth, "create", 100, taken_s=0.007)) == {None}


def test_a_call_that_was_held_up_proves_nothing() -> None:
    worth = learnt("create", 0.008)
    for number in range(100):
        key, reason = worth.begin("create")
        assert reason is None
        worth.replaced(key, 5.0 if number % 4 == 0 else 0.001)


def test_a_drop_is_judged_with_the_create_that_it_makes_cheap() -> None:
    worth = Worth()
    for number in range(200):
        for name, written_s, taken_s in (("create", 0.040, 0.001), ("drop", 0.001, 0.005)):
            key, reason = worth.begin(name)
            assert reason is None
            if number < 3:
                worth.vain(key, 0.001, written_s, "new")
            else:
                worth.replaced(key, taken_s)


def test_looks_in_vain_are_charged_to_the_replacements_between_them() -> None:
    worth = learnt("create", 0.008)
    given = set()
    for number in range(100):
        key, reason = worth.begin("create")
        given.add(reason)
        if reason is None and number % 3:
            worth.vain(key, 0.004, 0.008, "a listener")
        elif reason is None:
            worth.replaced(key, 0.002)
    assert given == {None, "to replace it took longer: 10.0 ms instead of 8.0 ms"}


def looked_at(worth: Worth, calls: int, operation: str = "create", look_s: float = 1.0) -> int:
    """At how many of some calls there is a look, when all of them are in vain."""
    looks = 0
    for _ in range(calls):
        key, reason = worth.begin(operation)
        if reason is None:
            looks += 1
            worth.vain(key, look_s, 1.0, "a listener")
        else:
            assert reason == "not looked at, since it was in vain before: a listener"
    return looks


@pytest.mark.parametrize(("look_s", "most"), [(5.0, IN_VAIN), (1.0, 32), (0.1, 200)])
def test_looks_in_vain_take_little_in_the_long_run(look_s: float, most: int) -> None:
    worth = Worth()
    looked_at(worth, 1)  # the first call of all has none before it
    assert looked_at(worth, IN_VAIN, look_s=look_s) == IN_VAIN
    assert looked_at(worth, 1000 - IN_VAIN, look_s=look_s) <= most - IN_VAIN
    assert most * look_s <= max(IN_VAIN * look_s, 1000 * ALLOWED + IN_VAIN * look_s)


def test_looks_that_take_next_to_nothing_go_on() -> None:
    assert looked_at(Worth(), 1000, look_s=0.001) == 1000


def test_one_look_that_was_held_up_proves_nothing() -> None:
    assert calls_to_rest([0.001] * (IN_VAIN - 1) + [10.0], 1.0) == 0


def test_a_look_that_is_of_use_begins_anew() -> None:
    worth = Worth()
    assert looked_at(worth, IN_VAIN) == IN_VAIN
    key, _ = worth.begin("create")
    worth.replaced(key, 0.001)
    assert looked_at(worth, IN_VAIN) == IN_VAIN
    assert looked_at(worth, 1) == 0


def test_operations_are_told_apart_by_the_one_before() -> None:
    worth = Worth()
    looked_at(worth, 1 + IN_VAIN)
    assert looked_at(worth, 1) == 0
    assert looked_at(worth, 1, "drop") == 1
    assert looked_at(worth, 1) == 1
