"""The plan: every atom once, Graham's bound, fixtures where they are already."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.scheduling.atoms import Atom, atoms
from pytest_slipstream.scheduling.plan import plan
from pytest_slipstream.scheduling.suite import Fixture, Suite
from suites import SECONDS, suites

EPSILON = 1e-9


@PROPERTY
@given(suites(), st.integers(1, 9))
def test_every_atom_is_planned_once_and_the_seconds_are_what_they_take(suite, workers):
    found = atoms(suite, workers)
    planned = plan(suite, found, workers)
    assert sorted(n for queue in planned.queues for n in queue) == list(range(len(found)))
    for queue, seconds in zip(planned.queues, planned.seconds, strict=True):
        keys = {key for n in queue for key in found[n].fixtures}
        own = sum(found[n].seconds for n in queue)
        assert seconds == pytest.approx(own + suite.fixture_seconds(keys))


@PROPERTY
@given(suites(), st.integers(1, 9))
def test_bounds_with_fixtures(suite, workers):
    found = atoms(suite, workers)
    lengths = [atom.seconds + suite.fixture_seconds(atom.fixtures) for atom in found]
    makespan = plan(suite, found, workers).makespan_s
    assert makespan <= sum(lengths) / workers + max(lengths, default=0) + EPSILON
    assert makespan >= suite.lower_bound(workers) - EPSILON


def best(lengths: list[float], workers: int) -> float:
    """The shortest makespan of all assignments."""
    return min(
        max(sum(s for s, w in zip(lengths, chosen, strict=True) if w == n) for n in range(workers))
        for chosen in product(range(workers), repeat=len(lengths))
    )


@PROPERTY
@given(st.lists(SECONDS, min_size=1, max_size=7), st.integers(1, 3))
def test_without_fixtures_the_makespan_is_within_graham_s_bound(lengths, workers):
    alone = [Atom((n,), seconds) for n, seconds in enumerate(lengths)]
    makespan = plan(Suite([]), alone, workers).makespan_s
    assert makespan <= (4 / 3 - 1 / (3 * workers)) * best(lengths, workers) + EPSILON


def test_balancing_mends_the_worst_case_of_longest_first():
    lengths = [5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 3.0]  # Graham's example: 11 s on three workers
    makespan = plan(Suite([]), [Atom((n,), s) for n, s in enumerate(lengths)], 3).makespan_s
    assert makespan == best(lengths, 3) == 9


def test_families_stay_together_where_that_balances_as_well():
    found = [Atom((n,), 1.0, family=str(n % 6)) for n in range(60)]
    planned = plan(Suite([]), found, 3)
    assert [{found[n].family for n in queue} for queue in planned.queues] == [
        {"0", "3"}, {"1", "4"}, {"2", "5"},
    ]  # fmt: skip
    assert planned.seconds == (20.0, 20.0, 20.0)


def test_a_family_is_split_for_balance_and_its_rest_stays_together():
    found = [Atom((n,), 1.0, family="ab"[n >= 20]) for n in range(30)]
    planned = plan(Suite([]), found, 2)
    assert planned.seconds == (15.0, 15.0)
    assert sum(len({found[n].family for n in queue}) for queue in planned.queues) == 3


@PROPERTY
@given(suites(), st.integers(1, 9))
def test_the_same_atoms_give_the_same_plan(suite, workers):
    found = atoms(suite, workers)
    assert plan(suite, found, workers) == plan(suite, list(found), workers)


def test_a_fixture_is_set_up_where_it_is_already():
    suite = Suite([], {"f": Fixture(10.0), "g": Fixture(10.0)})
    found = [Atom((n,), 1.0, frozenset("fg"[n % 2])) for n in range(8)]
    planned = plan(suite, found, 2)
    assert {frozenset(n % 2 for n in queue) for queue in planned.queues} == {
        frozenset({0}), frozenset({1}),
    }  # fmt: skip
    assert planned.seconds == (14.0, 14.0)


def test_urgent_atoms_are_run_first_and_cost_no_balance():
    found = [Atom((n,), float(9 - n), urgent=n == 8) for n in range(9)]
    planned = plan(Suite([]), found, 2)
    assert any(queue[0] == 8 for queue in planned.queues)
    usual = plan(Suite([]), [Atom(a.tests, a.seconds) for a in found], 2)
    assert planned.seconds == usual.seconds
