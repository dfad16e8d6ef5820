"""What may be said of two measurements, and how often it is wrong."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements import MACHINE, measurement, pair
from pytest_slipstream.measure import verdicts
from pytest_slipstream.measure.comparability import differences
from pytest_slipstream.measure.timetable import timetable
from pytest_slipstream.measure.values import Measurement
from pytest_slipstream.measure.verdicts import Verdict

STEADY = [10.0 + n / 100 for n in range(8)]
FASTER = [wall_s / 1.5 for wall_s in STEADY]
CONTRARY = {"faster": "slower", "slower": "faster"}


def judge(before: Measurement, after: Measurement) -> Verdict:
    return verdicts.judge(before, after, differences(before, after))


def test_a_clear_difference():
    verdict = judge(*pair(STEADY, FASTER))
    assert (verdict.word, verdict.because, verdict.warnings) == ("faster", "", ())
    assert verdict.effect == pytest.approx(0.5)
    assert verdict.p_value == pytest.approx(2 / math.comb(16, 8))
    assert judge(*pair(FASTER, STEADY)).word == "slower"


def test_a_small_difference_is_not_called_one_however_sure():
    verdict = judge(*pair(STEADY, [wall_s * 1.04 for wall_s in STEADY]))
    assert (verdict.word, verdict.because) == ("inconclusive", "the difference is below 5%")
    assert verdict.p_value < 0.001


def test_too_few_runs():
    verdict = judge(*pair(STEADY[:3], FASTER[:3]))
    assert verdict.word == "inconclusive"
    assert verdict.because == "3 and 3 runs are too few to tell any difference from chance"
    assert judge(*pair(STEADY[:4], FASTER[:4])).word == "faster"


def test_a_noisy_machine():
    noisy = [10.0, 10.0, 10.0, 10.0, 20.0, 20.0, 20.0, 20.1]
    verdict = judge(*pair(noisy, [wall_s + 4.9 for wall_s in noisy]))
    assert verdict.word == "inconclusive"
    assert "chance explains" in verdict.because
    spread = [6, 7, 8, 9, 13, 14, 15, 16]
    verdict = judge(*pair(spread, [17, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7]))
    assert verdict.control > verdict.effect > 0.5
    assert verdict.word == "inconclusive"
    assert "runs of one and the same command differ by" in verdict.because


def test_one_run_each_and_equal_runs():
    assert judge(*pair([1.5], [3.0])).word == "inconclusive"
    assert judge(*pair([1.5] * 8, [1.5] * 8)).p_value == 1
    assert judge(*pair([1.5] * 8, [3.0] * 8)).word == "slower"


def test_faster_with_less_work_is_not_comparable():
    verdict = judge(*pair(STEADY, FASTER, tests={"t.py::a": "passed"}))
    assert verdict.word == "not comparable"
    assert verdict.because == "1 test ran to the end in the baseline only, such as t.py::b"
    skips = {"t.py::a": "passed", "t.py::b": "skipped"}
    assert judge(*pair(STEADY, FASTER, tests=skips)).word == "not comparable"
    sometimes = {"t.py::a": "passed", "t.py::b": "failed or passed"}
    assert judge(*pair(STEADY, FASTER, tests=sometimes)).word == "not comparable"


def test_faster_with_more_work_is_faster_and_slower_with_more_is_not_comparable():
    more = {"t.py::a": "passed", "t.py::b": "passed", "t.py::c": "passed"}
    assert judge(*pair(STEADY, FASTER, tests=more)).word == "faster"
    verdict = judge(*pair(FASTER, STEADY, tests=more))
    assert verdict.word == "not comparable"
    assert "in the candidate only, such as t.py::c" in verdict.because


def test_other_hardware_is_not_comparable():
    other = msgspec.structs.replace(MACHINE, cores=8)
    verdict = judge(*pair(STEADY, FASTER, machine=other))
    assert verdict.word == "not comparable"
    assert verdict.because == "the machines differ (cores: 2, 8)"


def test_what_differs_besides_is_said():
    verdict = judge(*pair(STEADY, FASTER, workers=4, memory_kind="RSS"))
    assert verdict.word == "faster"
    assert verdict.warnings == ("differs: workers: none, 4", "differs: memory is PSS, RSS")


def test_failed_unsteady_and_tiny_suites_are_warned_of():
    tests = {"t.py::a": "failed", "t.py::b": "failed or passed"}
    verdict = judge(measurement([0.5, 0.6]), measurement([0.5, 0.6], first=100, tests=tests))
    assert [warning.partition(",")[0] for warning in verdict.warnings] == [
        "measured one after the other",
        "candidate: 2 tests failed",
        "candidate: 1 test did not end alike in all runs",
        "runs of less than a second are mostly the start of Python and pytest",
    ]


def test_a_machine_that_was_busy_is_warned_of():
    verdict = judge(*pair(STEADY, FASTER, load_before=7.5))
    assert verdict.word == "faster"
    assert verdict.warnings == ("other programs were busy: the load was 7.5 before it began",)


def test_turns_are_recognised():
    assert verdicts.interleaved(*pair(STEADY, FASTER))
    sequential = measurement(STEADY), measurement(FASTER, first=100)
    assert not verdicts.interleaved(*sequential)
    assert not verdicts.interleaved(measurement([1, 2], step=2), measurement([1], first=1))
    assert "measured one after the other" in judge(*sequential).warnings[0]


WALLS = st.lists(st.floats(0.5, 100), min_size=1, max_size=7)


@given(WALLS, WALLS)
def test_the_contrary_the_other_way_round(before, after):
    one = judge(measurement(before), measurement(after))
    other = judge(measurement(after), measurement(before))
    assert other.word == CONTRARY.get(one.word, one.word)
    assert other.p_value == pytest.approx(one.p_value)


@given(WALLS, WALLS, st.sampled_from([0.125, 8.0]))
def test_the_unit_of_time_does_not_matter(before, after, unit):
    one = judge(measurement(before), measurement(after))
    other = judge(measurement([s * unit for s in before]), measurement([s * unit for s in after]))
    assert other.word == one.word


def simulated(effect: float, noise: float, drift: float, draw: random.Random) -> list[list[float]]:
    """Eight pairs on a machine that wanders, and that a neighbour slows now and then."""
    sides: list[list[float]] = [[], []]
    wander = 0.0
    for turn in timetable(2, warmup=0, runs=8):
        wander = 0.9 * wander + draw.gauss(0, drift)
        neighbour = 1 + draw.random() / 2 if draw.random() < 0.05 else 1.0
        wall_s = 10 * math.exp(wander + draw.gauss(0, noise)) * neighbour
        sides[turn.side].append(wall_s * (1 + effect * turn.side))
    return sides


def called(effect: float, noise: float, drift: float) -> list[str]:
    draw = random.Random(7)
    return [judge(*pair(*simulated(effect, noise, drift, draw))).word for _ in range(200)]


@pytest.mark.parametrize(("noise", "drift"), [(0.02, 0.01), (0.04, 0.02), (0.08, 0.05)])
def test_a_command_against_itself_is_rarely_called_different(noise, drift):
    words = called(0.0, noise, drift)
    assert words.count("inconclusive") >= 0.95 * len(words)


def test_what_eight_pairs_find():
    words = called(0.1, 0.02, 0.01)
    assert words.count("slower") > 0.9 * len(words)
    assert "faster" not in words


def test_the_control_takes_every_split_of_the_noisier_side():
    noisy = [1.0, 1.0, 2.0, 2.0]
    assert verdicts.control([1.0] * 4, noisy) == pytest.approx(1 / math.sqrt(2))
    assert verdicts.control(noisy, [1.0] * 4) == pytest.approx(1 / math.sqrt(2))
    assert verdicts.control([1.0] * 30, [1.0] * 31) == 0  # too many splits to take them all
