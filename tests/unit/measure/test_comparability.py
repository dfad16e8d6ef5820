"""What differs between two measurements."""

from __future__ import annotations

import msgspec

from measurements import MACHINE, SOFTWARE, measurement
from pytest_slipstream.measure.comparability import differences


def test_nothing_differs():
    found = differences(measurement(), measurement([3.0, 4.0]))
    assert not any(msgspec.structs.astuple(found))


def test_tests_that_came_went_or_changed():
    before = measurement(tests={"a": "passed", "b": "passed", "c": "failed", "d": "skipped"})
    after = measurement(tests={"b": "skipped", "c": "passed", "d": "skipped", "e": "xfailed"})
    found = differences(before, after)
    assert (found.gained, found.lost) == (("e",), ("a",))
    assert found.changed == {"b": ("passed", "skipped"), "c": ("failed", "passed")}
    assert found.ran_in_baseline_only == ("a", "b")
    assert found.ran_in_candidate_only == ("c", "e")


def test_a_new_test_that_is_skipped_is_no_work():
    after = measurement(tests={"t.py::a": "passed", "t.py::b": "passed", "c": "skipped"})
    found = differences(measurement(), after)
    assert (found.gained, found.ran_in_candidate_only) == (("c",), ())


def test_versions_of_all_kinds():
    software = msgspec.structs.replace(
        SOFTWARE, python="3.13.0", plugins={}, servers={"postgresql": "17.2"}
    )
    assert differences(measurement(), measurement(software=software)).setting == (
        "Python: 3.12.1, 3.13.0",
        "postgresql: none, 17.2",
        "xdist: 3.8, none",
    )


def test_a_little_memory_is_no_other_machine():
    def with_memory(memory_bytes: int) -> tuple[str, ...]:
        machine = msgspec.structs.replace(MACHINE, memory_bytes=memory_bytes)
        return differences(measurement(), measurement(machine=machine)).machine

    assert with_memory((8 << 30) - (100 << 20)) == ()
    assert with_memory(16 << 30) == ("GB of memory: 8, 16",)
