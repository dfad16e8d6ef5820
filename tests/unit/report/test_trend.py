from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_slipstream.report import past
from pytest_slipstream.report.past import PastRun
from pytest_slipstream.report.trend import change, slower


def runs(*tests: dict[str, float]) -> list[PastRun]:
    return [
        PastRun(1, f"run {number}", float(number), 1.0, 1.0, one)
        for number, one in enumerate(tests)
    ]


def noisy(seed: int, levels: list[float], name: str = "a") -> list[dict[str, float]]:
    chance = random.Random(seed)
    return [{name: level * chance.uniform(0.9, 1.1)} for level in levels]


def test_step_is_found_where_it_began() -> None:
    found = slower(runs(*noisy(1, [100.0] * 12 + [150.0] * 12)))
    assert [(one.node_id, one.since) for one in found] == [("", "run 12"), ("a", "run 12")]
    assert found[1].grown_ms == pytest.approx(50, abs=15)


def test_creep_is_found_somewhere_in_it() -> None:
    (_, found) = slower(runs(*noisy(2, [100.0 + 3 * number for number in range(40)])))
    assert 10 <= int(found.since.split()[1]) <= 30


def test_what_is_equal_or_faster_is_not_named() -> None:
    assert slower(runs(*noisy(3, [100.0] * 40))) == []
    assert slower(runs(*noisy(4, [100.0] * 12 + [50.0] * 12))) == []


def test_one_slow_run_and_a_millisecond_are_not_named() -> None:
    assert slower(runs(*noisy(5, [100.0] * 12 + [900.0] + [100.0] * 12))) == []
    assert slower(runs(*noisy(6, [1.0] * 12 + [3.0] * 12))) == []


def test_few_runs_cannot_tell() -> None:
    assert slower(runs(*noisy(7, [1.0] * 3 + [1000.0] * 4))) == []


def test_new_test_does_not_make_the_suite_slower() -> None:
    before, after = [{"a": 100.0}] * 12, [{"a": 100.0, "new": 900.0}] * 12
    assert slower(runs(*before, *after)) == []


def test_runs_of_a_few_tests_say_nothing_of_the_suite() -> None:
    before = {f"test {number}": 10.0 for number in range(10)}
    after = dict.fromkeys(before, 20.0)
    alone = {"test 0": 10.0}
    found = slower(runs(*[before] * 12, *[after] * 6, alone, *[after] * 6))
    assert (found[0].node_id, found[0].since) == ("", "run 12")
    assert found[0].before_ms == 100.0


def test_false_alarms_are_rare() -> None:
    alarms = sum(bool(slower(runs(*noisy(seed, [100.0] * 30)))) for seed in range(200))
    assert alarms <= 4


def test_change_of_equal_values_is_certain_to_be_chance() -> None:
    assert change([1.0] * 10)[1] == 1.0


def test_past_runs_come_back_the_newest_last_and_few_enough(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        past.keep(tmp_path, PastRun(1, f"{number}-u", float(number), 1.0, 1.0, {"a": 1.0}), most=2)
    assert [run.name for run in past.read(tmp_path)] == ["2-u", "3-u"]


@pytest.mark.parametrize("content", [b"", b"not gzip", b"\x1f\x8b\x08\x00cut"])
def test_damaged_past_run_costs_itself_alone(tmp_path: Path, content: bytes) -> None:
    past.keep(tmp_path, PastRun(1, "1-u", 1.0, 1.0, 1.0, {}), most=9)
    (tmp_path / past.DIRECTORY / "2-u.json.gz").write_bytes(content)
    assert [run.name for run in past.read(tmp_path)] == ["1-u"]


def test_of_a_later_version_is_left_out(tmp_path: Path) -> None:
    past.keep(tmp_path, PastRun(2, "1-u", 1.0, 1.0, 1.0, {}), most=9)
    assert past.read(tmp_path) == []
