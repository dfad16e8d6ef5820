"""Pulling: every atom once, whoever is fast, slow or lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.scheduling.atoms import Atom, atoms
from pytest_slipstream.scheduling.plan import Plan, plan
from pytest_slipstream.scheduling.sharing import Sharing
from pytest_slipstream.scheduling.simulation import simulate
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test
from suites import suites


def pull(suite: Suite, workers: int):
    """What a worker asks for its next tests."""
    found = atoms(suite, workers)
    sharing = Sharing(suite, found, plan(suite, found, workers))

    def take(worker: int):
        atom = sharing.take(worker)
        return None if atom is None else atom.tests

    return take


@PROPERTY
@given(suites(), st.integers(1, 6))
def test_every_test_is_run_once(suite, workers):
    outcome = simulate(suite, workers, pull(suite, workers))
    assert sorted(n for ran in outcome.ran for n in ran) == list(range(len(suite.tests)))


@PROPERTY
@given(suites(), st.integers(1, 6))
def test_as_predicted_it_takes_no_longer_than_planned(suite, workers):
    found = atoms(suite, workers)
    planned = plan(suite, found, workers)
    outcome = simulate(suite, workers, pull(suite, workers))
    longest = max(
        (atom.seconds + suite.fixture_seconds(atom.fixtures) for atom in found), default=0
    )
    assert outcome.makespan_s <= planned.makespan_s + longest + 1e-9


@PROPERTY
@given(suites(), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_nothing_is_lost_with_a_worker(suite, steps):
    found = atoms(suite, 3)
    sharing = Sharing(suite, found, plan(suite, found, 3))
    running: dict[int, Atom] = {}
    done: list[int] = []
    for worker, dies in steps:
        if dies:
            sharing.lost(worker, [running.pop(worker)] if worker in running else [])
            continue
        if worker in running:
            done += running.pop(worker).tests
        if (atom := sharing.take(worker)) is not None:
            running[worker] = atom
    while running or not done_all(done, suite):
        for worker in range(3):
            if worker in running:
                done += running.pop(worker).tests
            if (atom := sharing.take(worker)) is not None:
                running[worker] = atom
    assert sorted(done) == list(range(len(suite.tests)))


def done_all(done, suite):
    return len(done) == len(suite.tests)


def test_a_worker_that_was_given_too_little_takes_from_one_that_was_given_too_much():
    suite = Suite([Test(f"test_{n}.py::t", 1.0) for n in range(10)])
    found = [Atom((n,), 1.0) for n in range(10)]
    unbalanced = Sharing(suite, found, Plan((tuple(range(10)), ()), (10.0, 0.0)))
    outcome = simulate(
        suite, 2, lambda worker: atom.tests if (atom := unbalanced.take(worker)) else None
    )
    assert outcome.makespan_s == 5


def test_an_atom_whose_fixture_costs_more_than_waiting_stays():
    suite = Suite(
        [Test("a.py::a", 1.0, ("f",)), Test("a.py::b", 1.0, ("f",))], {"f": Fixture(60.0)}
    )
    found = [Atom((n,), 1.0, frozenset("f")) for n in range(2)]
    sharing = Sharing(suite, found, Plan(((0, 1), ()), (62.0, 0.0)))
    assert sharing.take(0) == found[0]
    assert sharing.take(1) is None
    sharing.lost(0, [found[0]])
    assert {sharing.take(1), sharing.take(1)} == set(found)


def test_what_tests_really_take_is_balanced_while_they_run():
    """Estimates that know nothing, and one test of 8 s among short ones."""
    guessed = Suite([Test(f"test_{n}.py::t", 0.1) for n in range(100)])
    really = Suite([Test(t.node_id, 8.0 if n == 10 else 0.1) for n, t in enumerate(guessed.tests)])
    outcome = simulate(really, 2, pull(guessed, 2))
    assert outcome.makespan_s == pytest.approx(really.lower_bound(2), rel=0.1)
