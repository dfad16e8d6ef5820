"""Atoms: every test once, groups whole, costly fixtures together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from properties import PROPERTY
from pytest_slipstream.scheduling.atoms import PIECES, atoms
from pytest_slipstream.scheduling.suite import Fixture, Suite, Test
from suites import suites


@PROPERTY
@given(suites(), st.integers(1, 9))
def test_every_test_is_in_one_atom_with_its_fixtures(suite: Suite, workers: int):
    found = atoms(suite, workers)
    assert sorted(n for atom in found for n in atom.tests) == list(range(len(suite.tests)))
    for atom in found:
        tests = [suite.tests[n] for n in atom.tests]
        assert list(atom.tests) == sorted(atom.tests)
        assert atom.fixtures == {key for test in tests for key in test.fixtures}
        assert atom.urgent == any(test.urgent for test in tests)


@PROPERTY
@given(suites(), st.integers(1, 9))
def test_a_group_is_one_atom_of_its_own(suite: Suite, workers: int):
    for atom in atoms(suite, workers):
        groups = {suite.tests[n].group for n in atom.tests}
        assert len(groups) == 1
        if groups != {None}:
            everyone = [n for n, test in enumerate(suite.tests) if test.group in groups]
            assert list(atom.tests) == everyone


def some(count: int, seconds: float, *fixtures: str, file: str = "a") -> list[Test]:
    return [Test(f"test_{file}.py::test_{n}", seconds, fixtures) for n in range(count)]


def test_tests_without_fixtures_are_cut_finely_but_stay_in_order():
    found = atoms(Suite(some(1000, 0.01)), 2)
    assert 2 * PIECES <= len(found) <= 3 * PIECES
    assert [n for atom in found for n in atom.tests] == list(range(1000))


def test_a_costly_fixture_keeps_its_tests_together():
    suite = Suite([*some(10, 0.1, "f"), *some(1000, 0.1, file="b")], {"f": Fixture(5.0)})
    assert [atom.tests for atom in atoms(suite, 4) if atom.fixtures] == [tuple(range(10))]


def test_a_cheap_fixture_does_not():
    suite = Suite([*some(100, 0.1, "f"), *some(1000, 0.1, file="b")], {"f": Fixture(0.1)})
    assert len([atom for atom in atoms(suite, 4) if atom.fixtures]) > 4


def test_an_atom_longer_than_a_fair_share_is_split_though_its_fixture_is_costly():
    suite = Suite(some(100, 1.0, "f"), {"f": Fixture(20.0)})
    assert len(atoms(suite, 4)) == 4
    assert len(atoms(suite, 1)) == 1


def test_a_split_that_gains_next_to_nothing_is_not_made():
    suite = Suite(some(4, 0.1, "f"), {"f": Fixture(10.0)})
    assert len(atoms(suite, 4)) == 1


def test_fixtures_that_share_tests_bind_all_of_them():
    chain = [
        Test("test_a.py::a", 1, ("f",)),
        Test("test_a.py::b", 1, ("f", "g")),
        Test("test_a.py::c", 1, ("g",)),
    ]
    suite = Suite([*chain, *some(100, 1)], {"f": Fixture(9.0), "g": Fixture(9.0)})
    assert (0, 1, 2) in [atom.tests for atom in atoms(suite, 2)]


def test_session_fixtures_bind_nothing():
    suite = Suite(some(100, 0.1, "s"), {"s": Fixture(60.0, binds=False)})
    assert len(atoms(suite, 2)) > PIECES
