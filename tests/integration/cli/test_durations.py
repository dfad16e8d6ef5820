"""``slipstream durations`` and what ``slipstream shards`` refuses, in a process of their own."""

from __future__ import annotations

import json
import os
import sys

import pytest

from pytest_slipstream.scheduling import history_file
from pytest_slipstream.scheduling.durations import EPOCH, History, recorded, sample


def history(machine: str, **seconds: float) -> History:
    tests = {f"test_it.py::{name}": sample(EPOCH, (0, s, 0)) for name, s in seconds.items()}
    return recorded(History(), machine, tests, {"::shared": sample(EPOCH, (3.0, 0, 0))})


@pytest.fixture
def own(tmp_path):
    """The project's own history."""
    path = tmp_path / ".slipstream" / "durations.json"
    history_file.write(path, history("m", test_a=1.0, test_slow=2.5))
    return path


def test_show_lists_the_slowest(own, slipstream):
    shown = slipstream("durations", "show", "--top", "2").stdout
    assert "m: 2 tests, 3.5 s" in shown
    assert [name for name in ("::shared", "test_slow", "test_a") if name in shown] == [
        "::shared",
        "test_slow",
    ]


def test_show_without_a_history(slipstream):
    assert "no durations in" in slipstream("durations", "show").stdout


def test_merge_adds_what_others_know_in_any_order(own, slipstream, tmp_path):
    others = [tmp_path / "b.json", tmp_path / "c.json"]
    history_file.write(others[0], history("m", test_b=1.0))
    history_file.write(others[1], history("n", test_c=1.0))
    assert slipstream("durations", "merge", *map(str, others)).stdout.endswith(": 4 tests\n")
    merged = own.read_bytes()
    slipstream("durations", "merge", *map(str, reversed(others)))
    assert own.read_bytes() == merged


def test_prune_forgets_tests_that_are_gone_but_not_those_deselected(own, slipstream, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-k nothing"\n')
    (tmp_path / "test_it.py").write_text("def test_a(): pass\n")
    done = slipstream("durations", "prune")
    assert done.returncode == 0, done.stderr
    assert history_file.read(own).machines["m"].tests.keys() == {"test_it.py"}
    assert history_file.read(own).machines["m"].tests["test_it.py"].keys() == {"test_a"}
    assert history_file.read(own).machines["m"].fixtures == {}


@pytest.mark.parametrize(
    "content", [{"test_it.py::test_a": 1.5}, [["test_it.py::test_a", 1.5]]], ids=["new", "old"]
)
def test_import_takes_pytest_split_s_file(slipstream, tmp_path, content):
    (tmp_path / ".test_durations").write_text(json.dumps(content))
    done = slipstream("durations", "import", ".test_durations", "--machine", "ci")
    assert done.returncode == 0, done.stderr
    (entry,) = history_file.read(tmp_path / ".slipstream" / "durations.json").machines["ci"].tests[
        "test_it.py"
    ]["test_a"]  # fmt: skip
    assert entry.total_ms == 1500


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("durations", "merge", "none.json"), "there is no duration history none.json"),
        (("durations", "import", "none"), "none cannot be read: No such file or directory"),
        (("durations", "import", ".slipstream/durations.json"), "is no file of pytest-split's"),
        (("shards", "0"), "the number of shards is 0, and must be 1 to 1000"),
        (("shards", "1000000"), "the number of shards is 1000000, and must be 1 to 1000"),
        (("shards",), "the number of shards is missing\nhint: slipstream shards 8"),
        (("shards", "2", "--whole-minutes"), "without --price nothing is\nhint: slipstream sh"),
        (("shards", "2", "--", "nowhere"), "file or directory not found: nowhere"),
    ],
)
def test_what_bad_input_gets(own, slipstream, arguments, said):
    done = slipstream(*arguments)
    assert done.returncode in (1, 4)
    assert f"{said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_class_says_system_processor_and_number():
    from pytest_slipstream.scheduling.machine import machine_class

    system, processor, number = machine_class().split("-")
    assert system == sys.platform
    assert processor
    assert 1 <= int(number) <= (os.cpu_count() or 1)


def test_the_price_of_shards_is_that_of_their_machines(slipstream, tmp_path):
    tests = "".join(f"def test_{n}(): pass\n" for n in range(4))
    (tmp_path / "test_it.py").write_text(tests)
    seconds = {f"test_{n}": 60.0 for n in range(4)}
    history_file.write(tmp_path / ".slipstream" / "durations.json", history("m", **seconds))
    shown = slipstream("shards", "4", "--price", "--start", "60", "--per-minute", "0.5").stdout
    cells = [line.split() for line in shown.replace("│", "").splitlines()]
    assert ["1", "300", "s", "5.0", "2.5"] in cells
    assert ["2", "180", "s", "6.0", "3", "0.25"] in cells
    assert ["4", "120", "s", "8.0", "4", "1"] in cells
    assert "shards that still pay: 4, where a machine takes 60 s to start" in shown
