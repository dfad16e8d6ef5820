"""What a test is expected to take: itself, its neighbours, or anything."""

from __future__ import annotations

import pytest

from pytest_slipstream.scheduling.durations import EPOCH, History, merged, recorded, sample
from pytest_slipstream.scheduling.estimates import OVERHEAD_S, UNKNOWN_S, Estimates


def history(machine: str, **seconds: float) -> History:
    return recorded(History(), machine, *[_samples(seconds)] * 2)


def _samples(seconds):
    return {name: sample(EPOCH, (0.25 * s, 0.5 * s, 0.25 * s)) for name, s in seconds.items()}


KNOWN = history(
    "m",
    **{
        "tests/a/test_x.py::TestA::test_p[1]": 1,
        "tests/a/test_x.py::TestA::test_p[a::b]": 1.5,
        "tests/a/test_x.py::TestA::test_p[3]": 2,
        "tests/a/test_x.py::TestA::test_q": 4,
        "tests/a/test_x.py::TestA::test_r": 5,
        "tests/a/test_x.py::test_s": 6,
        "tests/a/test_x.py::test_t": 7,
        "tests/a/test_y.py::test_u": 8,
        "tests/b/test_z.py::test_v": 20,
    },
)


@pytest.mark.parametrize(
    ("node_id", "seconds"),
    [
        ("tests/a/test_x.py::TestA::test_q", 4),
        ("tests/a/test_x.py::TestA::test_p[new]", 1.5),
        ("tests/a/test_x.py::TestA::test_new", 2),
        ("tests/a/test_x.py::TestB::test_new", 4),
        ("tests/a/test_new.py::test_new", 4),
        ("tests/c/test_new.py::test_new", 5),
        ("other.txt", 5),
    ],
    ids=["itself", "function", "class", "module", "directory", "above", "all"],
)
def test_the_nearest_that_is_known(node_id, seconds):
    assert Estimates(KNOWN).test(node_id) == pytest.approx(seconds + OVERHEAD_S)


def test_without_a_history_all_tests_count_alike():
    estimates = Estimates(History())
    assert estimates.test("a.py::x") == UNKNOWN_S
    assert estimates.fixture("a.py::f") is None
    assert not estimates.knows("a.py::x")


def test_the_own_machine_class_comes_first_and_others_fill_in():
    both = merged(history("fast", a=1), history("slow", a=3, b=6))
    fast, slow, any_machine = (Estimates(both, name) for name in ("fast", "slow", None))
    assert fast.fixture("a") == 1
    assert slow.fixture("a") == 3
    assert fast.fixture("b") == 6
    assert fast.knows("b")
    assert any_machine.fixture("a") == 3  # the class that knows most
