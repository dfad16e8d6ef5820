"""What is printed: all that was seen, and nothing more."""

from __future__ import annotations

import msgspec
import pytest

from measurements import SOFTWARE, measurement, pair, run
from pytest_slipstream.measure import comparison_table, figures, measurement_table, verdicts
from pytest_slipstream.measure.comparability import differences
from pytest_slipstream.measure.values import Commit


def compared(before, after) -> str:
    found = differences(before, after)
    return comparison_table.compared(before, after, found, verdicts.judge(before, after, found))


def cells(text: str, first: str) -> list[str]:
    """A row of a table, by its first cell."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return row.strip("| ").split(" | ")[1:]


def test_all_runs_of_a_measurement_are_shown():
    one = measurement([10.0, 12.0, 11.0], warmup=(run(20.0),))
    text = measurement_table.measured(one)
    assert text.startswith("### `pytest`: 11.0 s\n")
    walls = [cells(text, name)[0] for name in ("warm-up 1", "1", "2", "3")]
    assert walls == ["20.0 s", "10.0 s", "12.0 s", "11.0 s"]
    assert cells(text, "**median**")[0] == "**11.0 s**"
    assert cells(text, "range")[0] == "10.0 s to 12.0 s"
    assert "3 runs after 1 warm-up; the range is all that was seen, and no percentile" in text
    assert "P95" not in text
    assert "no git revision" in text


def test_the_surroundings_of_a_measurement():
    software = msgspec.structs.replace(SOFTWARE, servers={"postgresql": "17.2", "sqlite": "3.45"})
    commit = Commit(revision="0123456789abcdef", dirty=True)
    one = measurement(software=software, commit=commit, workers=4, memory_kind="RSS")
    text = measurement_table.measured(one)
    assert "Python 3.12.1, pytest 9.0.0, postgresql 17.2, sqlite 3.45, xdist 3.8; 4 workers" in text
    assert "revision 0123456789ab, with changes that are not committed" in text
    assert "peak memory (RSS)" in text
    assert "P, 2 cores, 8 GB, Linux x86_64; load before: 0.5\n" in text
    crowded = measurement_table.measured(measurement(load_before=2.5))
    assert "load before: 2.5, **other programs were busy**\n" in crowded


def test_the_figures_of_a_comparison():
    text = compared(*pair([10.0 + n / 5 for n in range(8)], [5.0 + n / 5 for n in range(8)]))
    assert text.startswith("### **faster**, 1.88 times: 10.7 s before, 5.70 s after\n")
    assert cells(text, "wall, median") == ["10.7 s", "5.70 s", "-47%"]
    assert cells(text, "wall, range") == ["10.0 s to 11.4 s", "5.00 s to 6.40 s"]
    assert cells(text, "peak memory, median") == ["50.0 MB", "50.0 MB", "+0%"]
    assert cells(text, "tests")[2] == "the same tests"
    assert "8 interleaved pairs" in text
    assert cells(text, "8") == ["11.4 s", "6.40 s"]


def test_runs_of_unequal_number():
    text = compared(measurement([1.5, 2.0]), measurement([1.5], first=9))
    assert "2 and 1 runs, one side after the other" in text
    assert cells(text, "2") == ["2.00 s"]


def test_tests_that_came_and_went_are_named_up_to_ten():
    after = {f"t.py::{n:02}": "passed" for n in range(12)} | {"t.py::a": "failed"}
    text = compared(measurement(), measurement(tests=after))
    assert cells(text, "tests")[2] == "12 gained, 1 lost, 1 ended otherwise"
    assert "- tests gained: `t.py::00`, " in text
    assert "`t.py::09` and 2 more\n" in text
    assert "- tests lost: `t.py::b`\n" in text
    assert "- tests ended otherwise: `t.py::a` (passed, then failed)\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0004, "0.4 ms"),
        (0.0421, "42 ms"),
        (0.0996, "0.10 s"),
        (1.234, "1.23 s"),
        (9.999, "10.0 s"),
        (119.94, "119.9 s"),
        (227.6, "3 min 48 s"),
    ],
)
def test_seconds(value, text):
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pytest -k 'a or b'", "`pytest -k 'a or b'`"),
        ("a|b", "`a\\|b`"),
        ("a `b`", "`` a `b` ``"),
        ("a\nb", "`a b`"),
    ],
)
def test_code_stays_in_its_cell(text, shown):
    assert figures.code(text) == shown
